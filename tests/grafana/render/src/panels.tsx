// Grafana's published visualizations as panels; only the shape of the state timeline, which is not published, is ours.
import * as data from '@grafana/data';
import { sceneUtils } from '@grafana/scenes';
import { BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, Table as Table11, TimeSeries, VizRepeater, useTheme2 } from '@grafana/ui';
import * as unstable from '@grafana/ui/unstable';

// Grafana 11 has only the table before this one.
const Grid: any = 'TableNG' in unstable ? unstable.TableNG : Table11;

const filled = (panel: any) => panel.data.series.some((frame: any) => frame.length > 0);

// As Grafana says it: the text for no value, or the error.
function Empty({ data: { state, errors }, fieldConfig }: any) {
  const broken = state === data.LoadingState.Error;
  const text = broken ? errors?.[0]?.message : (fieldConfig.defaults.noValue ?? 'No data');
  return <div data-empty={broken ? 'error' : 'no data'} style={{ margin: 'auto', opacity: 0.7, textAlign: 'center' }}>{text}</div>;
}

const orEmpty = (Panel: any) => (panel: any) => (filled(panel) ? <Panel {...panel} /> : <Empty {...panel} />);

function numbers(frame: any) {
  const finite = (field: any) => ({ ...field, values: field.values.map((one: any) => (Number.isFinite(one) ? one : null)) });
  return { ...frame, fields: frame.fields.map((field: any) => (field.type === data.FieldType.number ? finite(field) : field)) };
}

function Lines({ data: { series, structureRev }, timeRange, timeZone, width, height, options }: any) {
  return <TimeSeries frames={series.map(numbers)} structureRev={structureRev} timeRange={timeRange} timeZone={timeZone}
    width={width} height={height} legend={options.legend} options={options} />;
}

function useValues(panel: any) {
  const theme = useTheme2();
  const { fieldConfig, options, replaceVariables, timeZone } = panel;
  return () => data.getFieldDisplayValues({ fieldConfig, replaceVariables, theme, timeZone, data: panel.data.series,
    reduceOptions: options.reduceOptions, sparkline: options.graphMode !== 'none' } as any);
}

function Repeated({ panel, value }: any) {
  return <VizRepeater getValues={useValues(panel)} width={panel.width} height={panel.height} source={panel.data}
    itemSpacing={8} minVizHeight={10} autoGrid orientation={panel.options.orientation} renderCounter={panel.renderCounter}
    getAlignmentFactors={data.getDisplayValueAlignmentFactors as any} renderValue={value} />;
}

function Stat(panel: any) {
  const theme = useTheme2();
  const titled = (one: any, count: number) => (count === 1 ? { ...one.display, title: undefined } : one.display);
  return <Repeated panel={panel} value={({ value, count, ...size }: any) => (
    <BigValue value={titled(value, count)} count={count} sparkline={value.sparkline} theme={theme}
      colorMode={panel.options.colorMode ?? BigValueColorMode.Value} width={size.width} height={size.height}
      graphMode={panel.options.graphMode ?? BigValueGraphMode.None} textMode={panel.options.textMode} />)} />;
}

function Bars(panel: any) {
  const theme = useTheme2();
  const { displayMode, namePlacement, showUnfilled, valueMode } = panel.options;
  return <Repeated panel={panel} value={({ value, orientation, alignmentFactors, ...size }: any) => (
    <BarGauge value={value.display} field={value.field} width={size.width} height={size.height} orientation={orientation}
      display={value.view?.getFieldDisplayProcessor?.(value.colIndex)} alignmentFactors={alignmentFactors} theme={theme}
      itemSpacing={8} lcdCellWidth={12} displayMode={displayMode} namePlacement={namePlacement} showUnfilled={showUnfilled}
      valueDisplayMode={valueMode} />)} />;
}

function Table({ data: { series, structureRev }, width, height, options, fieldConfig, replaceVariables, timeRange }: any) {
  data.cacheFieldDisplayNames(series);
  return <Grid data={series[0]} structureRev={structureRev} width={width} height={height}
    fieldConfig={fieldConfig} cellHeight={options.cellHeight} noHeader={!options.showHeader} initialSortBy={options.sortBy}
    getActions={() => []} replaceVariables={replaceVariables} timeRange={timeRange} enableSharedCrosshair={false} />;
}

// Neighbouring samples of one value are one bar.
function spans(times: number[], values: number[], interval: number) {
  const found: Array<{ from: number; to: number; value: number }> = [];
  times.forEach((at, index) => {
    const last = found.at(-1);
    if (last && last.value === values[index] && at - last.to <= interval / 2) {
      last.to = at + interval;
    } else {
      found.push({ from: at, to: at + interval, value: values[index] });
    }
  });
  return found;
}

function Timeline({ data: { series }, timeRange, width, height }: any) {
  const theme = useTheme2();
  const named = 240;
  const [from, to] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const x = (at: number) => named + ((width - named) * (Math.max(at, from) - from)) / (to - from);
  const tall = Math.min(32, height / series.length);
  const row = (frame: any, index: number) => {
    const [time, field] = frame.fields;
    return <g key={index} transform={`translate(0 ${index * tall})`}>
      <text x={named - 8} y={tall / 2 + 4} textAnchor="end" fontSize={12} fill={theme.colors.text.primary}>
        {data.getFieldDisplayName(field, frame, series)}
      </text>
      {spans(time.values, field.values, time.config.interval).map((span, key) => bar(span, field.display(span.value), key))}
    </g>;
  };
  const bar = (span: any, told: any, key: number) => {
    const wide = x(Math.min(span.to, to)) - x(span.from);
    return <g key={key} transform={`translate(${x(span.from)} 0)`}>
      <rect y={2} width={Math.max(1, wide)} height={tall - 4} fill={told.color} opacity={0.85} />
      {wide > 9 * told.text.length && <text x={5} y={tall / 2 + 4} fontSize={11}
        fill={theme.colors.getContrastText(told.color)}>{data.formattedValueToString(told)}</text>}
    </g>;
  };
  return <svg width={width} height={height}>{series.map(row)}</svg>;
}

// Their own settings, with Grafana's defaults, and what is in `custom` of a dashboard.
const LINE_STYLE = { drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, lineStyle: undefined, fillOpacity: 0,
  gradientMode: 'none', spanNulls: false, insertNulls: false, showPoints: 'auto', pointSize: 5, barAlignment: 0,
  barWidthFactor: 0.6, stacking: { mode: 'none', group: 'A' }, axisPlacement: 'auto', axisLabel: '', axisColorMode: 'text',
  axisBorderShow: false, axisCenteredZero: false, axisSoftMin: undefined, axisSoftMax: undefined, axisWidth: undefined,
  scaleDistribution: { type: 'linear' }, thresholdsStyle: { mode: 'off' }, hideFrom: { tooltip: false, viz: false, legend: false } };
const COLUMN_STYLE = { align: 'auto', width: undefined, minWidth: undefined, cellOptions: { type: 'auto' }, inspect: false,
  hidden: undefined, filterable: undefined, footer: { reducers: [] }, wrapHeaderText: false, tooltip: undefined };

const reader = (id: string, defaultValue: any) => ({ id, path: id, name: id, defaultValue, editor: () => null,
  override: () => null, process: data.identityOverrideProcessor, shouldApply: () => true });

export function registerPanels() {
  const panels: Record<string, [any, object]> = { timeseries: [Lines, LINE_STYLE], stat: [Stat, {}], bargauge: [Bars, {}],
    table: [Table, COLUMN_STYLE], 'state-timeline': [Timeline, {}] };
  for (const [pluginId, [Panel, style]] of Object.entries(panels)) {
    const useCustomConfig = (builder: any) =>
      Object.entries(style).forEach(([id, value]) => builder.addCustomEditor(reader(id, value)));
    const plugin: any = new data.PanelPlugin(orEmpty(Panel)).useFieldConfig({ useCustomConfig });
    sceneUtils.registerRuntimePanelPlugin({ pluginId, plugin });
  }
}
