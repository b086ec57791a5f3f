// A data source that asks a Prometheus directly and answers as Grafana's own does.
import { DataFrame, DataSourceApi, FieldType, toDataFrame } from '@grafana/data';
import { getTemplateSrv } from '@grafana/runtime';

type Labels = Record<string, string>;
export type Asked = { expr: string; series: number; exemplars?: number; error?: string };

// Every query that left a panel: the tests read it.
export const asked: Asked[] = [];

const SCRAPE_SECONDS = 1;

export class Prometheus extends DataSourceApi<any> {
  async query(request: any): Promise<{ data: DataFrame[] }> {
    const several = request.targets.length > 1;
    const frames = await Promise.all(request.targets.map((target: any) => this.answer(target, request, several)));
    return { data: frames.flat() };
  }

  // label_values(selector, label), which is all that our variables ask for.
  async metricFindQuery({ query }: { query: string }) {
    const [, selector, label] = /^label_values\((.*), *(\w+)\)$/s.exec(fill(query, {}))!;
    const found: string[] = await this.ask(`label/${label}/values`, { 'match[]': selector });
    return found.map((text) => ({ text, value: text }));
  }

  async testDatasource() {
    return { status: 'success', message: '' };
  }

  private async answer(target: any, request: any, several: boolean): Promise<DataFrame[]> {
    const from = request.range.from.valueOf() / 1000;
    const to = request.range.to.valueOf() / 1000;
    const step = Math.max(Math.ceil(request.intervalMs / 1000), SCRAPE_SECONDS);
    const windows = {
      __rate_interval: `${Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s`,
      __range: `${Math.round(to - from)}s`,
    };
    const expr = fill(target.expr, request.scopedVars, windows);
    const note: Asked = { expr, series: 0 };
    asked.push(note);
    try {
      const found = target.instant
        ? await this.ask('query', { query: expr, time: to })
        : await this.ask('query_range', { query: expr, start: floor(from, step), end: floor(to, step), step });
      note.series = found.result.length;
      if (target.exemplar) {
        note.exemplars = (await this.ask('query_exemplars', { query: expr, start: from, end: to })).length;
      }
      return target.format === 'table' ? [table(target, found.result, several)] : found.result.map(line(target, step));
    } catch (error: any) {
      note.error = error.message;
      throw error;
    }
  }

  private async ask(path: string, parameters: Record<string, any>) {
    const response = await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const answer = await response.json();
    if (answer.status !== 'success') {
      throw new Error(answer.error);
    }
    return answer.data;
  }
}

const floor = (seconds: number, step: number) => Math.floor(seconds / step) * step;

function fill(text: string, scoped: any, fixed: Labels = {}) {
  const known = Object.entries(fixed).reduce((done, [name, value]) => done.replaceAll(`$${name}`, value), text);
  return getTemplateSrv().replace(known, scoped, 'regex');
}

function legend(target: any, labels: Labels) {
  if (target.legendFormat === '__auto') {
    return Object.values(labels).join(' ') || 'Value';
  }
  return target.legendFormat.replace(/\{\{(\w+)\}\}/g, (_: string, label: string) => labels[label] ?? '') || 'Value';
}

const line = (target: any, step: number) => (series: any) => {
  const points: Array<[number, string]> = series.values ?? [series.value];
  const displayNameFromDS = legend(target, series.metric);
  return toDataFrame({
    refId: target.refId,
    name: displayNameFromDS,
    fields: [
      { name: 'Time', type: FieldType.time, config: { interval: step * 1000 }, values: points.map(([at]) => at * 1000) },
      { name: 'Value', type: FieldType.number, labels: series.metric, config: { displayNameFromDS },
        values: points.map(([, value]) => Number(value)) },
    ],
  });
};

function table(target: any, result: any[], several: boolean) {
  const labels = [...new Set(result.flatMap((series) => Object.keys(series.metric)))].sort();
  const column = (name: string, type: FieldType, values: any[]) => ({ name, type, config: {}, values });
  return toDataFrame({
    refId: target.refId,
    fields: [
      column('Time', FieldType.time, result.map((series) => series.value[0] * 1000)),
      ...labels.map((label) => column(label, FieldType.string, result.map((series) => series.metric[label]))),
      column(several ? `Value #${target.refId}` : 'Value', FieldType.number, result.map((s) => Number(s.value[1]))),
    ],
  });
}
