/** @file The tokenizer of a merged model as transformers reads it: the base's files, or made from its GGUF file. */
import { copyFileSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic.ts';
import { openGguf } from '../formats/gguf.ts';
import { type GgufTokenizer, ggufTokenizer } from '../formats/gguf-tokenizer.ts';

/** What lies beside the weights and belongs to the model as it is used. */
const COMPANIONS = [
  ...['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'tokenizer.model'],
  ...['vocab.txt', 'vocab.json', 'merges.txt', 'chat_template.jinja', 'chat_template.json', 'generation_config.json'],
  ...['LICENSE', 'LICENSE.txt', 'NOTICE'],
];

/** Writes it into the folder; throws what the system throws. */
export async function writeTokenizer(folder: string, base: string): Promise<void> {
  if (statSync(base).isFile()) return writeMade(folder, ggufTokenizer(openGguf(base)));
  for (const name of COMPANIONS) if (existsSync(join(base, name))) copyFileSync(join(base, name), join(folder, name));
}

async function writeMade(folder: string, made: GgufTokenizer): Promise<void> {
  const { whole, config, bos, eos, pad, vocabulary } = made;
  const framing = [...(made.addsBos ? [bos!] : []), ...(made.addsEos ? [eos!] : [])].map((id) => {
    const name = vocabulary[id]!;
    return [name, { id: name, ids: [id], tokens: [name] }];
  });
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    ...whole,
    // Fields that the library in Rust does not do without.
    added_tokens: whole.added_tokens.map((token) => ({ ...token, single_word: false, lstrip: false, rstrip: false })),
    post_processor: whole.post_processor && { ...whole.post_processor, special_tokens: Object.fromEntries(framing) },
    decoder: { add_prefix_space: false, trim_offsets: true, use_regex: true, ...whole.decoder },
  };
  const files = {
    'tokenizer.json': JSON.stringify(tokenizer),
    'tokenizer_config.json': JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast', ...config }, null, 2),
    // Where generation ends.
    'generation_config.json': JSON.stringify({ bos_token_id: bos, eos_token_id: eos, pad_token_id: pad }, null, 2),
  };
  for (const [name, text] of Object.entries(files)) await writeFileAtomic(join(folder, name), `${text}\n`);
}
