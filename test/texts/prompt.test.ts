/** @file Prompts of every kind of tokenizer: tokenised as they read, cut to fit, asking for the tokens of the label words. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openTokenizer } from '../../node/formats/tokenizer.ts';
import { longestBeginning } from '../../node/texts/excerpt.ts';
import { createTask, type Task, usualPrompt } from '../../node/texts/task.ts';
import { createPrng } from '../../protocol/prng.ts';
import { KINDS, TEXTS, tokenizerFolder, wholeTokenizer } from '../formats/parts/tokenizers.ts';

const CAUSAL = ['gpt2', 'llama3', 'qwen', 'llama2', 'mistral', 'gemma'];
const MASKED = ['roberta', 'modernbert', 'unigram'];
const folders = new Map(Object.keys(KINDS).map((kind) => [kind, tokenizerFolder(kind)]));

function taskOf(
  kind: string,
  prompt: string,
  given: { labels?: string; maxTokens?: number; patterns?: string } = {},
): Task {
  const { labels = 'n=terrible,p=great', maxTokens = 512, patterns = '' } = given;
  const isCausal = CAUSAL.includes(kind);
  return createTask(folders.get(kind)!, { prompt, patterns, labels, maxTokens }, { isCausal, maxTokens: 1024 });
}

/** Texts of random words, some of a kind of character, in which nothing is a special token. */
function randomTexts(seed: string, count: number): string[] {
  const prng = createPrng(seed);
  return Array.from({ length: count }, (_, i) => {
    const draw = prng.fork(i);
    return Array.from({ length: 1 + draw.below(3) }, () => TEXTS[draw.below(TEXTS.length)]!).join(
      draw.below(2) ? ' ' : '',
    );
  });
}

test('the filled prompt of a masked model is tokenised as it reads, split only at the mask', () => {
  for (const kind of MASKED) {
    const whole = wholeTokenizer(kind);
    const { mask } = openTokenizer(folders.get(kind)!);
    for (const prompt of ['{text} It was {mask}.', '{mask} : {text}', '"{text}"\n{mask} !', '{text}{mask}']) {
      const task = taskOf(kind, prompt, { labels: 'a=t,b=g' });
      const masks = Math.max(...task.wordIds[0]!.map((word) => word.length));
      for (const text of randomTexts(`masked ${kind}`, 40)) {
        const { ids, positions, cut } = task.encode(text);
        const filled = prompt
          .split('{text}')
          .join(text)
          .replace('{mask}', () => mask!.content.repeat(masks));
        assert.equal(ids, whole.encode(filled).ids, `${kind} ${JSON.stringify([prompt, text])}`);
        assert.equal([positions, cut], [[ids.indexOf(mask!.id)], false]);
      }
    }
  }
});

test('a causal model reads the prompt without the space before its word, and the words go on as they read', () => {
  for (const kind of CAUSAL) {
    const whole = wholeTokenizer(kind);
    for (const [prompt, literal] of [
      ['{text}\nIt was {mask}', '{text}\nIt was'],
      ['Review: {text}\nAnswer:\n{mask}', 'Review: {text}\nAnswer:\n'],
      ['{text} {mask}', '{text}'],
    ] as const) {
      const task = taskOf(kind, prompt);
      for (const text of [...randomTexts(`causal ${kind}`, 40), 'The film']) {
        if (text === '') continue;
        const { ids, positions } = task.encode(text);
        const filled = literal.split('{text}').join(text);
        assert.equal(ids, whole.encode(filled).ids, `${kind} ${JSON.stringify([prompt, text])}`);
        assert.equal(positions, [ids.length - 1]);
        // Where the prompt ends with the text, what the text ends with may take the space.
        if (prompt === '{text} {mask}' && text !== 'The film') continue;
        const said = prompt.split('{text}').join(text);
        for (const [k, word] of ['terrible', 'great'].entries())
          assert.equal(
            [...ids, ...task.wordIds[0]![k]!],
            whole.encode(said.replace('{mask}', word)).ids,
            `${kind} ${said}`,
          );
      }
    }
  }
});

test('a prompt may name special tokens: chats are cut there, and what a text is framed by is not repeated', () => {
  const whole = wholeTokenizer('llama3');
  const prompt = '<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n{text}<|eot_id|>\nIt was {mask}';
  const task = taskOf('llama3', prompt);
  for (const text of ['The film was great.', '<|eot_id|> ends', '{mask}{text}']) {
    const { ids } = task.encode(text);
    assert.is(ids.filter((id) => id === 1).length, 1, text);
    assert.is(ids.filter((id) => id === 0).length, 1, text);
  }
  const filled = prompt.replace('{text}', 'fine').replace(' {mask}', '');
  assert.equal(task.encode('fine').ids, whole.encode(filled, { add_special_tokens: false }).ids);
  const bare = taskOf('mistral', '{text}</s>{mask}', { labels: 'a=x,b=great' });
  const said = wholeTokenizer('mistral').encode('fine</s>great').ids;
  assert.equal([...bare.encode('fine').ids, ...bare.wordIds[0]![1]!], said);
});

test('words of a byte-level vocabulary are those with a space, where the prompt has one', () => {
  const task = taskOf('roberta', '{text} It was {mask}.', { patterns: '{mask} : {text}' });
  const { idOf } = openTokenizer(folders.get('roberta')!);
  assert.equal(task.labelIds[0], [idOf('Ġterrible'), idOf('Ġgreat')]);
  assert.equal(
    task.wordIds[1]!.map((ids) => ids.length > 1),
    [true, true],
  );
  assert.is(task.encode('fine').choice, undefined);
  assert.is(task.encode('fine', 1).choice?.passages.length, 1);
});

test('a masked model is asked for a word of several tokens at as many masks as the longest has', () => {
  const task = taskOf('roberta', '{text} It was {mask}.', { labels: 'n=awful,p=great' });
  const [awful, great] = task.wordIds[0]!;
  assert.ok(awful!.length > 1 && great!.length === 1);
  const { ids, positions, choice } = task.encode('fine');
  const mask = openTokenizer(folders.get('roberta')!).mask!.id;
  assert.is(ids.filter((id) => id === mask).length, awful!.length);
  const at = ids.indexOf(mask);
  assert.equal(positions, [at]);
  assert.equal(choice, {
    passages: [
      {
        ids,
        scored: [
          ...awful!.map((id, m) => ({ position: at + m, id, weight: 1 })),
          { position: at, id: great![0], weight: 1 },
        ],
      },
    ],
    classes: [...awful!.map(() => 0), 1],
  });
});

test('a causal model is asked for each word after the prompt, each token at the one before it', () => {
  const task = taskOf('llama3', '{text}\nIt was {mask}', { labels: 'n=awful,p=great', maxTokens: 24 });
  const [awful, great] = task.wordIds[0]!;
  assert.ok(awful!.length > 1 && great!.length === 1);
  const { ids, choice } = task.encode('fine '.repeat(50));
  assert.equal(
    choice!.passages.map((p) => p.ids),
    [[...ids, ...awful!.slice(0, -1)], ids],
  );
  assert.equal(
    choice!.passages[0]!.scored,
    awful!.map((id, i) => ({ position: ids.length - 1 + i, id, weight: 1 })),
  );
  assert.equal(choice!.classes, [...awful!.map(() => 0), 1]);
  assert.ok(choice!.passages.every((p) => p.ids.length <= 24));
});

test('a word may begin with another; the same one twice is refused', () => {
  const task = taskOf('gpt2', '{text} It was {mask}', { labels: 'a=great,b=great plot' });
  const [short, long] = task.wordIds[0]!;
  assert.equal(long!.slice(0, short!.length), short);
  assert.throws(() => taskOf('gpt2', '{text} It was {mask}', { labels: 'a=great,b=great' }), /"great" stands twice/);
});

test('prompts that a base cannot answer are refused by what is wanted', () => {
  assert.throws(() => taskOf('gpt2', '{mask} : {text}'), /reads from left to right: wanted \{mask\} at the end/);
  assert.throws(() => taskOf('gpt2', '{text} It was {mask} .'), /wanted \{mask\} at the end/);
  assert.throws(
    () => taskOf('gpt2', '{text} terr{mask}', { labels: 'a=ible,b=it' }),
    /become one .* a space before \{mask\}/,
  );
  assert.throws(
    () => taskOf('roberta', '{text} <mask> {mask}'),
    /wanted one \{text\} and one \{mask\}, which is <mask>/,
  );
  const spec = { prompt: '{text} it was {mask} .', patterns: '', labels: 'a=x,b=y', maxTokens: 96 };
  assert.throws(() => createTask(folders.get('gpt2')!, spec, { isCausal: false, maxTokens: 96 }), /has no mask token/);
  assert.throws(() => taskOf('gpt2', '{text} It was {mask}', { maxTokens: 2000 }), /this base holds 1024 at most/);
});

test('the usual prompts are answered, each by its kind', () => {
  assert.ok(taskOf('gpt2', usualPrompt({ isCausal: true })).encode('fine').ids.length > 0);
  assert.ok(taskOf('unigram', usualPrompt({ isCausal: false })).encode('fine').ids.length > 0);
});

test('a causal model without a start is given one where nothing stands before its word', () => {
  const task = taskOf('qwen', '{text} {mask}');
  const { eos } = openTokenizer(folders.get('qwen')!);
  assert.equal([task.encode('').ids, task.encode('').positions], [eos, [0]]);
});

test('a long text is cut so that all fits: as many of its words as there is room for, whatever it is made of', () => {
  for (const kind of [...MASKED, ...CAUSAL]) {
    const prompt = CAUSAL.includes(kind) ? '{text} It was {mask}' : '{text} It was {mask}.';
    const [task, roomy] = [40, 1000].map((maxTokens) => taskOf(kind, prompt, { maxTokens, labels: 'a=t,b=g' }));
    for (const text of randomTexts(`long ${kind}`, 12)) {
      const long = `${text} `.repeat(30);
      const { ids, cut } = task!.encode(long);
      assert.ok(ids.length <= 40 && ids.length > 20, `${kind}: ${ids.length} tokens of ${JSON.stringify(text)}`);
      assert.is(cut, true);
      assert.equal(task!.encode(long).ids, ids);
      // What is kept is a beginning of the text, in the same words.
      const begun = [...long].findIndex(
        (_, i) => String(roomy!.encode([...long].slice(0, i).join('')).ids) === String(ids),
      );
      assert.ok(begun > 0, `${kind}: ${JSON.stringify(text)}`);
    }
  }
});

test('of a text that goes on and on little more is tokenised than is kept', () => {
  for (const unit of [
    'the film was slow but kind ',
    '日本語的文章',
    'no.spaces.at.all.',
    'a',
    '😀',
    ' \t',
    'e\u0301',
    '\ud83d',
  ]) {
    for (const ignoresSpaces of [false, true]) {
      let tokenised = 0;
      const tokenise = (text: string): number[] => {
        tokenised += text.length;
        return [...text.matchAll(/\w+|[^\w\s]|\s{4}/gu)].map((_, i) => i);
      };
      const text = unit.repeat(Math.ceil(1_000_000 / unit.length));
      const { result } = longestBeginning(text, { most: 96, room: 88, ignoresSpaces, tokenise });
      assert.ok(result.length <= 96);
      assert.ok(tokenised < 60_000, `${JSON.stringify(unit)}: ${tokenised} characters`);
    }
  }
});

test('where one space is as good as many, they take no room', () => {
  const tokenise = (text: string): number[] => [...text.matchAll(/\S+/g)].map((m) => m[0].length);
  const wide = `a film${' \t'.repeat(300_000)}fine`;
  const options = { most: 10, room: 8, tokenise };
  assert.equal(longestBeginning(wide, { ...options, ignoresSpaces: true }), { result: [1, 4, 4], cut: false });
  assert.equal(longestBeginning(wide, { ...options, ignoresSpaces: false }), { result: [1, 4], cut: true });
});

test.run();
