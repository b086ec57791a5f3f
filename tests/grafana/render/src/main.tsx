// Draws the dashboard `/dashboard.json` with data of the Prometheus that answers under `/api/v1/`.
import 'uplot/dist/uPlot.min.css';
import { ThemeContext, createTheme } from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import { config } from '@grafana/runtime';
import * as scenes from '@grafana/scenes';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router-dom';
import { fillRegistries, show, supplyServices } from './host';
import { registerPanels } from './panels';
import { asked } from './prometheus';

const NAMESPACES = ['grafana', 'grafana-ui', 'grafana-data', 'grafana-runtime', 'grafana-scenes'];

function variable({ type, name, label, current, ...rest }: any) {
  const common = { name, label, value: current.value ?? '', text: current.text ?? '' };
  if (type === 'datasource') {
    return new scenes.DataSourceVariable({ ...common, pluginId: rest.query });
  }
  const { query, datasource, refresh, sort, regex, multi: isMulti, includeAll, allValue, definition } = rest;
  return new scenes.QueryVariable({ ...common, query, datasource, refresh, sort, regex, isMulti, includeAll, allValue, definition });
}

function queries({ datasource, targets, transformations }: any) {
  const asking = new scenes.SceneQueryRunner({ datasource, queries: targets });
  return transformations ? new scenes.SceneDataTransformer({ $data: asking, transformations }) : asking;
}

function placed(panel: any) {
  const { id, type: pluginId, title, description, options, fieldConfig, gridPos } = panel;
  const body = new scenes.VizPanel({ key: `panel-${id}`, title, description, pluginId, options, fieldConfig, $data: queries(panel) });
  return new scenes.SceneGridItem({ x: gridPos.x, y: gridPos.y, width: gridPos.w, height: gridPos.h, body });
}

function rows(panels: any[]) {
  const found: scenes.SceneGridRow[] = [];
  for (const panel of panels) {
    if (panel.type === 'row') {
      found.push(new scenes.SceneGridRow({ title: panel.title, y: panel.gridPos.y, isCollapsible: true, children: [] }));
    } else {
      const row = found.at(-1)!;
      row.setState({ children: [...row.state.children, placed(panel)] });
    }
  }
  return found;
}

function sceneOf(dashboard: any) {
  return new scenes.EmbeddedScene({
    $timeRange: new scenes.SceneTimeRange({ ...dashboard.time, timeZone: 'utc' }),
    $variables: new scenes.SceneVariableSet({ variables: dashboard.templating.list.map(variable) }),
    controls: [new scenes.VariableValueSelectors({}), new scenes.SceneControlsSpacer(), new scenes.SceneTimePicker({})],
    body: new scenes.SceneGridLayout({ children: rows(dashboard.panels), isLazy: false }),
  });
}

async function draw() {
  const asking = new URLSearchParams(location.search);
  const theme = createTheme({ colors: { mode: asking.get('theme') === 'light' ? 'light' : 'dark' } });
  Object.assign(config, { theme2: theme, theme: theme.v1 });
  await Promise.all(NAMESPACES.map((name) => initPluginTranslations(name, [async () => ({})])));
  fillRegistries();
  registerPanels();
  supplyServices();
  const dashboard = await (await fetch('/dashboard.json')).json();
  const scene = sceneOf(dashboard);
  show(scene);
  // A link is drawn by Grafana's pages; where it leads is what its template becomes here.
  (window as any).led = (url: string) => scenes.sceneGraph.interpolate(scene, url);
  const style: any = { background: theme.colors.background.canvas, display: 'flex', flexDirection: 'column', height: 1000,
    minHeight: '100vh', padding: 16 };
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <BrowserRouter>
        <div style={style}>
          <h1 style={{ fontSize: 20 }}>{dashboard.title}</h1>
          <scene.Component model={scene} />
        </div>
      </BrowserRouter>
      <PortalContainer />
    </ThemeContext.Provider>,
  );
}

(window as any).asked = asked;
draw();
