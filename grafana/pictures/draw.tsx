// Draws a dashboard with Grafana's own components (@grafana/ui) from answers of a real Prometheus: window.STORY.
// Draws state timelines itself, with the mappings of the dashboard: no Grafana package contains that component.
import {
  createTheme, dateTime, type DataFrame, type Field, FieldType, getDisplayProcessor, getFieldDisplayName,
  standardTransformers, standardTransformersRegistry, toDataFrame, transformDataFrame,
} from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, Table, ThemeContext, TimeSeries } from '@grafana/ui';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';

type Labels = Record<string, string>;
interface Answer {
  target: { refId: string; expr: string; format: string; instant?: boolean; legendFormat?: string };
  result: Array<{ metric: Labels; value?: [number, string]; values?: Array<[number, string]> }>;
}
interface Story {
  title: string;
  theme: 'dark' | 'light';
  start: number;
  end: number;
  marks: number[];
  panels: Array<{ panel: any; answers: Answer[] }>;
}

const story: Story = (window as any).STORY;
const theme = createTheme({ colors: { mode: story.theme } });
const CELL = { width: 62, height: 38, gap: 8 };
const range = { from: dateTime(story.start * 1000), to: dateTime(story.end * 1000) };
const timeRange = { ...range, raw: range };
standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(standardTransformers).map((one: any) => [one.id, one])).values()].map((one: any) => ({
    id: one.id, name: one.name, aliasIds: one.aliasIds, transformation: async () => one, editor: () => null, imageDark: '', imageLight: '',
  }))
);

function legend(format: string | undefined, labels: Labels): string {
  return (format ?? '').replace(/{{(\w+)}}/g, (_, name) => labels[name] ?? '');
}

function tableFrame({ target, result }: Answer, alone: boolean): DataFrame {
  const points = result.flatMap((item) => (item.values ?? [item.value!]).map((point) => ({ labels: item.metric, point })));
  const names = [...new Set(result.flatMap((item) => Object.keys(item.metric)))].filter((name) => name !== '__name__');
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: points.map(({ point }) => point[0] * 1000) },
      ...names.map((name) => ({ name, type: FieldType.string, values: points.map(({ labels }) => labels[name] ?? '') })),
      { name: alone ? 'Value' : `Value #${target.refId}`, type: FieldType.number, values: points.map(({ point }) => Number(point[1])) },
    ],
  });
}

function seriesFrames({ target, result }: Answer): DataFrame[] {
  return result.map(({ metric, value, values }) => {
    const points = values ?? [value!];
    const name = legend(target.legendFormat, metric);
    return toDataFrame({
      refId: target.refId, name,
      fields: [
        { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000), config: {} },
        {
          name: 'Value', type: FieldType.number, labels: metric, values: points.map(([, text]) => (text === 'NaN' ? null : Number(text))),
          config: { displayNameFromDS: name },
        },
      ],
    });
  });
}

function put(config: any, path: string, value: unknown) {
  const keys = path.split('.');
  const last = keys.pop()!;
  let place = config;
  for (const key of keys) {
    place = place[key] ??= {};
  }
  place[last] = value;
}

// Defaults, overrides by name and by query, and value formats.
function configure(frames: DataFrame[], source: any): DataFrame[] {
  let series = 0;
  for (const frame of frames) {
    for (const field of frame.fields) {
      const defaults = structuredClone(source.defaults);
      const time = field.type === FieldType.time;
      field.config = { ...(time ? {} : defaults), ...field.config, custom: { ...defaults.custom, ...field.config.custom } };
      for (const { matcher, properties } of source.overrides) {
        const hit = matcher.id === 'byName' ? matcher.options === getFieldDisplayName(field, frame) : matcher.options === frame.refId && !time;
        if (hit) {
          properties.forEach(({ id, value }: any) => put(field.config, id, value));
        }
      }
      field.state = { ...field.state, seriesIndex: time ? undefined : series++ };
      field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    }
  }
  return frames;
}

async function framesOf(panel: any, answers: Answer[]): Promise<DataFrame[]> {
  const tables = panel.type === 'table';
  let frames = tables ? answers.map((one) => tableFrame(one, answers.length === 1)) : answers.flatMap(seriesFrames);
  if (panel.transformations?.length) {
    frames = await lastValueFrom(transformDataFrame(panel.transformations, frames));
  }
  return configure(frames, panel.fieldConfig);
}

function Empty({ text }: { text: string }) {
  return <div style={{ padding: 24, color: theme.colors.text.secondary, textAlign: 'center' }}>{text}</div>;
}

function Timeline({ frames, width, height }: { frames: DataFrame[]; width: number; height: number }) {
  const left = 190;
  const across = (at: number) => left + ((at / 1000 - story.start) / (story.end - story.start)) * (width - left - 12);
  const row = Math.min(34, (height - 26) / Math.max(1, frames.length));
  const stretches = (field: Field, times: Field) => {
    const found: Array<{ from: number; to: number; value: number }> = [];
    field.values.forEach((value: number, place: number) => {
      const at = times.values[place];
      const last = found[found.length - 1];
      if (last && last.value === value && at - last.to <= 1500) {
        last.to = at;
      } else {
        if (last && at - last.to <= 1500) {
          last.to = at;
        }
        found.push({ from: at, to: at + 1000, value });
      }
    });
    return found;
  };
  const ticks = Array.from({ length: 7 }, (_, place) => story.start + ((story.end - story.start) * place) / 6);
  const text = { fill: theme.colors.text.primary, fontSize: 12, fontFamily: theme.typography.fontFamily };
  return (
    <svg width={width} height={height}>
      {frames.map((frame, place) => {
        const [times, field] = frame.fields;
        return (
          <g key={place}>
            <text x={left - 8} y={place * row + row / 2 + 4} textAnchor="end" {...text}>{frame.name}</text>
            {stretches(field, times).map(({ from, to, value }, number) => {
              const shown = field.display!(value);
              const color = theme.visualization.getColorByName(shown.color ?? 'gray');
              const wide = across(to) - across(from);
              return (
                <g key={number}>
                  <rect x={across(from)} y={place * row + 3} width={Math.max(1, wide)} height={row - 6} fill={color} opacity={0.8} />
                  {wide > shown.text.length * 7 && (
                    <text x={across(from) + 6} y={place * row + row / 2 + 4} {...text}>{shown.text}</text>
                  )}
                </g>
              );
            })}
          </g>
        );
      })}
      {story.marks.map((at, place) => (
        <line key={place} x1={across(at)} x2={across(at)} y1={0} y2={height - 22} stroke={theme.visualization.getColorByName('purple')} strokeDasharray="4 3" strokeWidth={2} />
      ))}
      {ticks.map((at, place) => (
        <text key={place} x={across(at * 1000)} y={height - 4} {...text} textAnchor={place === 6 ? 'end' : 'middle'} opacity={0.7}>
          {dateTime(at * 1000).utc().format('HH:mm:ss')}
        </text>
      ))}
    </svg>
  );
}

function Inside({ panel, frames, width, height }: { panel: any; frames: DataFrame[]; width: number; height: number }) {
  const empty = !frames.some((frame) => frame.length > 0);
  if (panel.type === 'stat') {
    const field = frames[0]?.fields.find(({ type }) => type === FieldType.number);
    const value = field
      ? { ...field.display!(field.values[field.values.length - 1]), title: '' }
      : { text: panel.fieldConfig.defaults.noValue ?? 'No data', numeric: NaN, title: '' };
    return <BigValue theme={theme} value={value} width={width} height={height} colorMode={panel.options.colorMode} graphMode={panel.options.graphMode} justifyMode={panel.options.justifyMode} />;
  }
  if (empty) {
    return <Empty text={panel.fieldConfig.defaults.noValue ?? 'No data'} />;
  }
  if (panel.type === 'table') {
    return <Table data={frames[0]} width={width} height={height} noHeader={false} resizable={false} columnMinWidth={60} />;
  }
  if (panel.type === 'state-timeline') {
    return <Timeline frames={frames} width={width} height={height} />;
  }
  return (
    <TimeSeries frames={frames} timeRange={timeRange as any} timeZone="utc" width={width} height={height} legend={panel.options.legend} structureRev={1}
      options={panel.options} />
  );
}

function Board({ drawn }: { drawn: Array<{ panel: any; frames: DataFrame[] }> }) {
  const bottom = Math.max(...drawn.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  return (
    <div style={{ position: 'relative', background: theme.colors.background.canvas, width: 24 * CELL.width + CELL.gap, height: bottom * CELL.height + 56 }}>
      <div style={{ padding: '14px 12px', fontSize: 20, color: theme.colors.text.primary }}>{story.title}</div>
      {drawn.map(({ panel, frames }) => {
        const { x, y, w, h } = panel.gridPos;
        const place = { position: 'absolute', left: x * CELL.width + CELL.gap, top: y * CELL.height + 52 } as const;
        if (panel.type === 'row') {
          return <div key={panel.id} style={{ ...place, top: place.top + 8, fontSize: 15, color: theme.colors.text.primary }}>{panel.title}</div>;
        }
        return (
          <div key={panel.id} style={place}>
            <PanelChrome title={panel.title} width={w * CELL.width - CELL.gap} height={h * CELL.height - CELL.gap}>
              {(width, height) => <Inside panel={panel} frames={frames} width={width} height={height} />}
            </PanelChrome>
          </div>
        );
      })}
    </div>
  );
}

async function main() {
  const drawn = await Promise.all(
    story.panels.map(async ({ panel, answers }) => ({ panel, frames: panel.type === 'row' ? [] : await framesOf(panel, answers) }))
  );
  createRoot(document.getElementById('board')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Board drawn={drawn} />
    </ThemeContext.Provider>
  );
}

main().catch((error) => {
  document.body.textContent = `failed: ${error.stack}`;
});
