/** @file Rules of mixing: what each conserves, or what bounds what liars do to it; and how far a peer lets itself be moved. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CODEC_NAMES, CODECS } from '../../protocol/codec.ts';
import { copiesAmong } from '../../protocol/copies.ts';
import { decodeFrame, encodeFrame, type Message } from '../../protocol/frame.ts';
import { mixAs, packedSource } from '../../protocol/mixing.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { createReach, doubtCopies, radiusOf, remember, toleranceOf } from '../../protocol/reach.ts';
import { type Circumstances, RULE_NAMES, RULES } from '../../protocol/rules.ts';
import { distance, norm } from '../../protocol/vector.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith, sourceOf } from '../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- rules`;
const SIZE = 5000; // more than one piece

const drawn = (prng: Prng, size = SIZE): Float32Array => Float32Array.from({ length: size }, prng.normal);
const given: Circumstances = { hostile: 2, reach: 20, score: norm };

for (const rule of RULE_NAMES.filter((name) => RULES[name].conserves === 'the mean')) {
  test(`${rule}: both ends of an edge add the same with opposite signs, so the mean stays, whatever the codec`, () => {
    assert.is(RULES[rule].type, 'pairwise');
    for (const codec of CODEC_NAMES) {
      const prng = createPrng(SEED).fork(`${rule}/${codec}`);
      for (const radius of [0, 0.01, 30, 1e4, Number.POSITIVE_INFINITY]) {
        const [x, y] = [drawn(prng), drawn(prng)];
        const [sentX, sentY] = [x, y].map((v) => packedSource(codec, CODECS[codec].encode(v), SIZE));
        const settings = settingsWith({ rule, codec });
        const mixed = (own: Float32Array, mine: typeof sentX, theirs: typeof sentX): Float32Array =>
          mixAs(settings, [], own, [{ weight: 0.25, mine: mine!, theirs: theirs!, radius }]);
        const [a, b] = [mixed(x, sentX, sentY), mixed(y, sentY, sentX)];
        const drift = x.map((_, i) => a[i]! + b[i]! - x[i]! - y[i]!);
        assert.ok(norm(drift) <= 1e-6 * distance(x, y), `${codec}, ${radius}: ${norm(drift)}; ${REPLAY}`);
        const bound = rule === 'clip' ? 0.25 * radius : Number.POSITIVE_INFINITY;
        assert.ok(distance(a, x) <= bound * (1 + 1e-5), `${codec}, ${radius}: ${distance(a, x)}; ${REPLAY}`);
        assert.ok(distance(a, x) > 0 || radius === 0);
      }
    }
  });
}

for (const rule of RULE_NAMES.filter((name) => RULES[name].conserves === 'nothing')) {
  test(`${rule}: two liars among seven cannot move it out of where the honest are`, () => {
    const prng = createPrng(SEED).fork(rule);
    const honest = Array.from({ length: 6 }, () => drawn(prng, 40));
    const settings = settingsWith({ rule });
    for (const far of [-1e3, 1e3, 1e6]) {
      const liars = [1, 2].map((k) => new Float32Array(40).fill(k * far));
      const [own, ...others] = honest as [Float32Array, ...Float32Array[]];
      const contributions = [...others.slice(1), ...liars].map((theirs) => {
        return { weight: 1 / 8, theirs: sourceOf(theirs), mine: sourceOf(own) };
      });
      const squares = new Float64Array(contributions.length);
      const mixed = mixAs(settings, [], own, contributions, { squares, given });
      assert.ok(norm(mixed) <= Math.max(...honest.map(norm)), `${norm(mixed)} with ${far}; ${REPLAY}`);
      assert.ok(Math.abs(Math.sqrt(squares[0]!) - distance(own, others[1]!)) < 1e-3);
      const alone = mixAs(settings, [], own, contributions.slice(0, -2), { given });
      assert.ok(distance(alone, mixed) < 8, `${distance(alone, mixed)} with ${far}; ${REPLAY}`);
    }
  });
}

test('by number: a trimmed mean leaves out the extremes, a median is the middle; the geometric median and Krum of what is known', () => {
  const [own, ...others] = [[1], [2], [3], [100], [-50]].map((x) => Float32Array.from(x)) as [
    Float32Array,
    ...Float32Array[],
  ];
  const joined = (name: 'trimmed-mean' | 'median' | 'geometric-median' | 'krum', hostile: number): number => {
    const rule = RULES[name];
    return rule.type === 'joint' ? rule.join(own, others, { ...given, hostile })[0]! : Number.NaN;
  };
  assert.is(joined('trimmed-mean', 1), 2);
  assert.ok(Math.abs(joined('trimmed-mean', 0) - 56 / 5) < 1e-5);
  assert.is(joined('median', 0), 2);
  assert.ok(Math.abs(joined('geometric-median', 0) - 2) < 1e-2, String(joined('geometric-median', 0)));
  assert.is(joined('krum', 1), 2);
});

test('the radius goes by the median, which liars among fewer than half cannot stretch, and is less for who was far', () => {
  const settings = settingsWith({ rule: 'clip', ruleRadius: 2, rounds: 10 });
  const of = (reach: ReturnType<typeof createReach>, id = 'new', round = 3, neighbours = 8): number =>
    radiusOf(reach, settings, { round, id, neighbours });
  const fresh = createReach();
  assert.is(of(fresh), Number.POSITIVE_INFINITY);
  assert.ok(Math.abs(of({ ...fresh, moved: 3 }) - 2 * Math.SQRT2 * 3) < 1e-5);
  assert.is(of({ ...fresh, moved: 3 }, 'new', 10), Number.POSITIVE_INFINITY, 'a round without training');
  let reach = fresh;
  for (let round = 0; round < 20; round++) {
    const met = Array.from({ length: 8 }, (_, k) => ({ id: `${k}`, apart: k < 3 ? 1e6 : 1 + k / 100 }));
    reach = remember(reach, met);
  }
  assert.ok(of(reach) <= 2.2, String(of(reach)));
  assert.ok(of(reach, '1') <= 1e-5, String(of(reach, '1')));
  assert.is(of(reach, '7'), of(reach));
  const unlike = remember(
    fresh,
    [1, 1, 1, 3].map((apart, k) => ({ id: `${k}`, apart })),
  );
  assert.is(of(unlike, '3', 3, 8), of(unlike) / 2, 'three medians away, twice as far as is usual');
  assert.is(of(unlike, '3', 3, 4), of(unlike), 'of four neighbours one is easily so far');
  assert.ok(reach.distances.length <= 24);
  for (let k = 0; k < 1000; k++) reach = remember(reach, [{ id: `far-${k}`, apart: 1e7 * 2 ** k }].slice(0, 1));
  assert.ok(reach.far.size <= 256);
  assert.is(
    radiusOf(reach, { ...settings, rule: 'mean' }, { round: 0, id: 'a', neighbours: 8 }),
    Number.POSITIVE_INFINITY,
  );
  const tolerance = (round: number): number => toleranceOf({ ...fresh, moved: 1 }, settings, round);
  assert.ok(tolerance(9) < tolerance(0) && tolerance(9) > 0);
});

test('neighbours that are copies of each other move nobody for four meetings; those that are merely near do', () => {
  const settings = settingsWith({ rule: 'clip', rounds: 10 });
  const prng = createPrng(SEED).fork('copies');
  const unlike = Array.from({ length: 6 }, () => drawn(prng));
  const nearly = unlike[0]!.map((x) => x + 0.2 * prng.normal());
  const usual = Math.sqrt(2 * SIZE);
  const copies = (vectors: readonly Float32Array[]): boolean[] => copiesAmong(SIZE, vectors.map(sourceOf), usual);
  assert.equal(copies(unlike), [false, false, false, false, false, false]);
  assert.equal(copies([...unlike.slice(0, 5), nearly]), [true, false, false, false, false, true]);
  assert.equal(copies([unlike[0]!, unlike[1]!, nearly]), [false, false, false], 'too few to tell');
  assert.equal(copiesAmong(SIZE, [...unlike, nearly].map(sourceOf), usual / 10).includes(true), false);
  const reach = remember({ ...createReach(), moved: 1 }, [{ id: '1', apart: usual }]);
  const meet = (vectors: readonly Float32Array[], round = 0): number => {
    const met = vectors.map((x, k) => ({ id: `${k}`, theirs: sourceOf(x) }));
    doubtCopies(reach, settings, { round, count: SIZE, met });
    return radiusOf(reach, settings, { round: 1, id: '0', neighbours: 6 });
  };
  assert.ok(meet([...unlike.slice(0, 5), nearly], 10) > 0, 'in a round without training all are near');
  const radii = [meet([...unlike.slice(0, 5), nearly]), ...Array.from({ length: 4 }, () => meet(unlike))];
  assert.equal(
    radii.map((radius) => radius > 0),
    [false, false, false, false, true],
  );
});

test('a radius that is none is refused', () => {
  const limits = { runId: '00112233445566778899aabbccddeeff', count: 1, codec: 'f32' as const };
  const code = (radius: number): string => {
    const payload = CODECS.f32.encode(Float32Array.of(1));
    const message: Message = { type: 'data', round: 1, degree: 1, radius, codec: 'f32', count: 1, payload };
    const decoded = decodeFrame(encodeFrame({ sequence: 1, message }, limits.runId, quickHash), limits, quickHash);
    return decoded.ok ? 'taken' : decoded.code;
  };
  for (const radius of [0, 1e-20, 3, Number.POSITIVE_INFINITY]) assert.is(code(radius), 'taken');
  for (const radius of [-1, Number.NaN, Number.NEGATIVE_INFINITY]) assert.is(code(radius), 'malformed');
});

test.run();
