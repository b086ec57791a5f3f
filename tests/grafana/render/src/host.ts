// What Grafana's core supplies around its published packages: services and registries.
import * as data from '@grafana/data';
import * as runtime from '@grafana/runtime';
import { sceneGraph } from '@grafana/scenes';
import { catchError, defer, from, map, of, startWith } from 'rxjs';
import { Prometheus } from './prometheus';

const SETTINGS: any = {
  id: 1, uid: 'prometheus', type: 'prometheus', name: 'Prometheus', access: 'proxy', isDefault: true, readOnly: true,
  jsonData: {},
  meta: {
    id: 'prometheus', name: 'Prometheus', type: 'datasource', module: '', baseUrl: '', metrics: true,
    info: { logos: { small: '', large: '' }, author: { name: '' }, links: [], screenshots: [], updated: '', version: '' },
  },
};

let shown: any;

export const show = (scene: any) => {
  shown = scene;
};

const replace = (text: any, scoped?: any, format?: any) => {
  const scene = scoped?.__sceneObject?.value?.valueOf?.() ?? shown;
  return scene ? sceneGraph.interpolate(scene, text, scoped, format) : text;
};

export function supplyServices() {
  const source: any = new Prometheus(SETTINGS);
  source.meta = SETTINGS.meta;
  runtime.setTemplateSrv({ replace, getVariables: () => [], containsTemplate: (text: any) => `${text}`.includes('$'),
    updateTimeRange() {}, getAdhocFilters: () => [] } as any);
  runtime.setDataSourceSrv({
    get: async (wanted: any, scoped: any) => found(source, replace(wanted?.uid ?? wanted, scoped)),
    getList: ({ pluginId, type }: any = {}) => ([SETTINGS.type, undefined].includes(pluginId ?? type) ? [SETTINGS] : []),
    getInstanceSettings: () => SETTINGS, reload() {}, registerRuntimeDataSource() {},
  } as any);
  runtime.setRunRequest(run as any);
  runtime.setEchoSrv({ flush() {}, addBackend() {}, addEvent() {} } as any);
  runtime.setAppEvents(new data.EventBusSrv());
  runtime.setPluginImportUtils({
    importPanelPlugin: async (id: string) => { throw new Error(`there is no panel ${id}`); },
    getPanelPluginFromCache: () => undefined,
  } as any);
}

function found(source: any, uid: string) {
  if ([undefined, '', 'default', SETTINGS.uid, SETTINGS.name].includes(uid)) {
    return source;
  }
  throw new Error(`there is no data source ${uid}`);
}

function run(source: any, request: any, query?: any) {
  const panel = (state: any, series: any[] = [], errors?: any[]) =>
    ({ state, series, errors, annotations: [], timeRange: request.range, request });
  return defer(() => from((query ?? source.query.bind(source))(request) as Promise<any>)).pipe(
    map((answer) => panel(data.LoadingState.Done, answer.data)),
    catchError((error) => of(panel(data.LoadingState.Error, [], [{ message: error.message }]))),
    startWith(panel(data.LoadingState.Loading)),
  );
}

// Grafana registers an editor with each; only how a value is read from a dashboard is needed to draw.
const READERS: Array<[string, any, any?]> = [
  ['displayName', data.displayNameOverrideProcessor],
  ['unit', data.unitOverrideProcessor],
  ['min', data.numberOverrideProcessor],
  ['max', data.numberOverrideProcessor],
  ['decimals', data.numberOverrideProcessor],
  ['noValue', data.stringOverrideProcessor],
  ['links', data.dataLinksOverrideProcessor, []],
  ['mappings', data.valueMappingsOverrideProcessor, []],
  ['thresholds', data.thresholdsOverrideProcessor, { mode: 'absolute', steps: [{ value: -Infinity, color: 'green' }] }],
  ['color', data.identityOverrideProcessor, { mode: 'palette-classic' }],
  ['fieldMinMax', data.identityOverrideProcessor],
  ['filterable', data.identityOverrideProcessor],
  ['actions', data.identityOverrideProcessor],
  ['description', data.identityOverrideProcessor],
];
const EDITORS = ['text', 'number', 'slider', 'boolean', 'select', 'multi-select', 'radio', 'color', 'unit', 'strings',
  'links', 'actions', 'mappings', 'thresholds', 'stats-picker', 'fieldColor', 'timezone', 'field-name', 'dashboard-uid',
  'cell-display'];

const nothing: any = () => null;

// Grafana 13 asks for a transformer, Grafana 12 has it there.
const asBoth = (one: any) => Object.defineProperties(async () => one, Object.getOwnPropertyDescriptors(one));

export function fillRegistries() {
  const readers = READERS.map(([id, process, defaultValue]) => ({
    id, path: id, name: id, process, defaultValue, editor: nothing, override: nothing, settings: {}, shouldApply: () => true,
  }));
  const editors = EDITORS.map((id) => ({ id, name: id, editor: nothing }));
  const known = new Map(Object.values(data.standardTransformers).map((one: any) => [one.id, one]));
  const transformers = [...known.values()].map((one) => ({ id: one.id, name: one.name, editor: nothing,
    transformation: asBoth(one) }));
  data.standardFieldConfigEditorRegistry.setInit(() => readers as any);
  data.standardEditorsRegistry.setInit(() => editors as any);
  data.standardTransformersRegistry.setInit(() => transformers as any);
}
