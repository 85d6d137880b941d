import type { AnnotationQuery, Dashboard, DataQuery } from '@grafana/schema';

// A type of Grafana's schema as JSON: enum members become their strings or numbers.
export type Plain<T> = 0 extends 1 & T
  ? T
  : T extends string
    ? `${T}`
    : T extends number | boolean | null | undefined
      ? T
      : T extends Array<infer Item>
        ? Plain<Item>[]
        : T extends object
          ? { [Key in keyof T]: Plain<T[Key]> }
          : T;

// Fields that the data source adds to a query; its package has a licence that this project does not use.
interface PrometheusQuery extends DataQuery {
  expr: string;
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  legendFormat?: string;
  range?: boolean;
}

interface PrometheusAnnotation extends AnnotationQuery<PrometheusQuery> {
  expr: string;
  tagKeys: string;
  textFormat: string;
  titleFormat: string;
  useValueForTime: boolean;
}

export interface Board extends Omit<Dashboard, 'annotations'> {
  annotations: { list: PrometheusAnnotation[] };
}
