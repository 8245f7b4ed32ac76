/** @file A causal model of a fixture with a tokenizer of 128 pieces of ASCII and a chat template, in a folder of its own. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixture, temporaryFolder } from '../../support.ts';

/** Space and line feed as byte-level vocabularies write them. */
const [SPACE, LINE] = ['\u0120', '\u010a'];

export const TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** Writes it; gives its folder. */
export function writingModel({ hasTemplate = true } = {}): string {
  const folder = join(temporaryFolder(), 'llama');
  mkdirSync(folder);
  for (const name of ['config.json', 'model.safetensors', 'adapter-trained'])
    cpSync(join(fixture('llama-qv'), name), join(folder, name), { recursive: true });
  // An adapter strong enough to be seen in a few words.
  const config = join(folder, 'adapter-trained', 'adapter_config.json');
  const lora = JSON.parse(readFileSync(config, 'utf8'));
  writeFileSync(config, JSON.stringify({ ...lora, lora_alpha: 200 * lora.lora_alpha }));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerFile()));
  const settings = { eos_token: '<|im_end|>', ...(hasTemplate ? { chat_template: TEMPLATE } : {}) };
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(settings));
  return folder;
}

function tokenizerFile(): unknown {
  const special = ['<pad>', '<|im_start|>', '<|im_end|>'];
  const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + i));
  const merges = [...letters.map((letter) => `${SPACE} ${letter}`), 't h', 'h e', 'i n'];
  const tokens = [...special, ...printable, SPACE, LINE, ...merges.map((merge) => merge.replace(' ', ''))];
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  };
}
