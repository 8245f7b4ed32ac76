/** @file What a peer answers when the page asks. */

export interface InviteAnswer {
  readonly invite: string;
  /** null: anybody, for ever. */
  readonly uses: number | null;
  readonly taken: number;
  /** ms since 1970; null: never. */
  readonly expires: number | null;
}

/** What is shown of a text. */
export interface TextRow {
  readonly text: string;
  readonly label: string | null;
  /** The file's label; null: none there, or not in the file. */
  readonly given: string | null;
  readonly isAdded: boolean;
  readonly isNoted: boolean;
  /** What the mixed adapter takes it for, and how sure it is; of those without a label. */
  readonly soft: { readonly label: string; readonly confidence: number } | null;
  /** Whether that is trained on in this round. */
  readonly isTrained: boolean;
}

export interface TextsAnswer {
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly TextRow[];
  readonly classes: readonly string[];
}

/** What several adapters take a text for. */
export interface TryAnswer {
  readonly classes: readonly string[];
  readonly opinions: readonly {
    readonly name: string;
    /** Of each class. */
    readonly probabilities: readonly number[];
  }[];
}
