// Prints what WebGPU adapter there is, as JSON, or null. A process of its own: a broken driver may crash it.
import { create } from 'webgpu';

const gpu = create([]);
Object.assign(globalThis, { gpu }); // Node crashes when it is collected before its device.
const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
let found = null;
if (adapter) {
  await adapter.requestDevice();
  const { vendor, architecture, device, description } = adapter.info;
  found = { vendor, architecture, device, description };
}
process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit(0));
