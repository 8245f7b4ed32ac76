/** @file What a report holds, as JSON in its file: texts, tables, curves, who holds what, and graphs. */
/** Cells are texts; where all of a column are figures it is sorted by them. */
export interface TableData {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What columns and rows mean. */
  readonly notes?: readonly string[];
  /** Whether cells are shaded by their figure, from 50 (white) to 100. */
  readonly isShaded?: boolean;
}

/** Of a chart. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number | null])[];
  /** Around it: from where to where, at the same x. */
  readonly band?: readonly (readonly [x: number, low: number, high: number])[];
  /** What is foretold, or another thing beside. */
  readonly isDashed?: boolean;
  /** Which colour, from 0; by default its place. */
  readonly tone?: number;
}

export interface ChartData {
  readonly title: string;
  readonly about?: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
  readonly isLogarithmic?: boolean;
  readonly isLogX?: boolean;
}

export interface BarsData {
  readonly title: string;
  readonly unit: string;
  /** What the parts of a bar stand for; the second of a pair is paler. */
  readonly parts: readonly string[];
  readonly bars: readonly { readonly name: string; readonly values: readonly number[] }[];
}

export interface GraphData {
  readonly title: string;
  /** Of each round, the neighbours of each peer. */
  readonly rounds: readonly (readonly (readonly number[])[])[];
}

export interface Section {
  readonly title: string;
  readonly about?: string;
  readonly tables?: readonly TableData[];
  readonly charts?: readonly ChartData[];
  readonly bars?: readonly BarsData[];
  readonly graphs?: readonly GraphData[];
}

export interface Report {
  readonly name: string;
  readonly about: string;
  /** What made it. */
  readonly command: string;
  /** What the figures rest on. */
  readonly footing: string;
  readonly sections: readonly Section[];
}

/** What is in the file. */
export interface ReportFile {
  readonly reports: readonly Report[];
}
