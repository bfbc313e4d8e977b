/**
 * How fast a model file gets to the device, beside plain sequential reads of the same file in the same run, and how much host
 * memory that takes:
 *
 *     npx tsx bench/load.ts [--shape llama-3.2-1b] [--types q8_0,q4_k] [--model FILE] [--record]
 *
 * Each part runs in a process of its own, with the file in the page cache. One plain read goes through a small buffer that is
 * used again and again; the other keeps what it reads, as a load must, and so pays for fresh memory, which on a virtual
 * machine costs far more than the copy. A process that touches as much memory runs first, so that both find pages that the
 * machine already has. Host memory is the process's peak resident size less the bytes of its GPU buffers, which on a software
 * adapter lie in the same process.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { GpuDevice } from '../src/kernels/device.ts';
import { ModelWeights } from '../src/runtime/weights/load.ts';
import { openModel } from '../src/runtime/weights/open-model.ts';
import { WEIGHT_TYPES } from './random-blocks.ts';
import { writeRandomGguf } from './random-gguf.ts';
import { SHAPES, type ShapeName } from './random-shapes.ts';
import { recordResults } from './report.ts';

const MIB = 2 ** 20;
const READ_BYTES = 8 * MIB;
const root = fileURLToPath(new URL('..', import.meta.url));

interface LoadResult {
  readonly adapter: string;
  readonly fileMib: number;
  readonly loadMibPerSecond: number;
  readonly peakHostMib: number;
  readonly gpuMib: number;
}

/** MiB/s of reading the file from start to end, through one buffer or into memory that is kept. */
const readWhole = async (path: string, keeps: boolean): Promise<number> => {
  const file = await open(path, 'r');
  const kept: Buffer[] = [];
  let buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const start = performance.now();
  let total = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, total);
    if (bytesRead === 0) break;
    total += bytesRead;
    if (keeps) {
      kept.push(buffer);
      buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    }
  }
  const seconds = (performance.now() - start) / 1000;
  await file.close();
  return total / MIB / seconds;
};

/** Every tensor of the file, in the layout that kernels read; the device is done when this is. */
const measureLoad = async (path: string): Promise<LoadResult> => {
  const fileMib = (await stat(path)).size / MIB;
  const device = await GpuDevice.open({ checks: 'none' });
  const file = await openModel(path);
  const weights = new ModelWeights(device, file);
  const start = performance.now();
  for (const { name, rows, columns } of file.tensors.values()) {
    if (rows === 1) await weights.values(name, columns);
    else await weights.matrix([{ name, rows }], columns);
  }
  await device.settled(device.device.queue.onSubmittedWorkDone());
  const seconds = (performance.now() - start) / 1000;
  const gpuMib = device.bytes / MIB;
  const result = {
    adapter: device.name,
    fileMib,
    loadMibPerSecond: fileMib / seconds,
    peakHostMib: process.resourceUsage().maxRSS / 1024 - gpuMib,
    gpuMib,
  };
  await file.close();
  device.close();
  return result;
};

type Part = 'read' | 'keep' | 'load';

/** What a process of its own prints of one part. */
const apart = <Result>(part: Part, path: string): Result => {
  const script = fileURLToPath(import.meta.url);
  const args = ['--import', 'tsx', script, '--part', part, '--model', path];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${path}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
};

const runPart = (part: Part, path: string): Promise<unknown> =>
  part === 'load' ? measureLoad(path) : readWhole(path, part === 'keep');

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      shape: { type: 'string', default: 'llama-3.2-1b' },
      types: { type: 'string', default: 'q8_0,q4_k' },
      model: { type: 'string' },
      part: { type: 'string' },
      record: { type: 'boolean', default: false },
    },
  });
  if (values.part !== undefined && values.model !== undefined) {
    console.log(JSON.stringify(await runPart(values.part as Part, values.model)));
    return;
  }
  const paths = values.model === undefined ? randomModels(values.shape, values.types.split(',')) : [values.model];
  for (const path of paths) {
    apart('keep', path); // Warms the page cache and the machine's memory.
    const [read, keep] = [apart<number>('read', path), apart<number>('keep', path)];
    const result = apart<LoadResult>('load', path);
    const share = (speed: number) => `${((100 * result.loadMibPerSecond) / speed).toFixed(0)} %`;
    const figures = [
      `load ${result.loadMibPerSecond.toFixed(0)} MiB/s`,
      `plain read through one buffer ${read.toFixed(0)} (${share(read)}), into memory that is kept ${keep.toFixed(0)} (${share(keep)})`,
      `file ${result.fileMib.toFixed(0)} MiB, GPU ${result.gpuMib.toFixed(0)} MiB, host at most ${result.peakHostMib.toFixed(0)} MiB`,
    ].join('; ');
    const what = path.replace(/^.*\//, '');
    console.log(`${what}: ${figures}`);
    if (values.record) {
      recordResults(
        'Loading',
        [{ what, figures }],
        result.adapter,
        `npx tsx bench/load.ts ${process.argv.slice(2).join(' ')}`,
      );
    }
  }
};

const randomModels = (shape: string, types: readonly string[]): string[] => {
  const unknown = types.find((type) => !WEIGHT_TYPES.includes(type));
  if (!(shape in SHAPES) || unknown !== undefined) {
    throw new Error(`no shape ${shape} or type ${unknown}; shapes: ${Object.keys(SHAPES)}; types: ${WEIGHT_TYPES}`);
  }
  return types.map((type) => {
    const path = `${root}.peers/models/${shape}-${type}.gguf`;
    if (!existsSync(path)) writeRandomGguf(path, shape as ShapeName, type);
    return path;
  });
};

await main();
