import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type ConfigSources, loadConfig, OPTIONS } from '../../src/runtime/config.ts';
import { EngineError } from '../../src/runtime/errors.ts';
import { DEFAULT_STREAM_STORE } from '../../src/server/resume/stream-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'firstlight-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (yaml: string): string => {
  const path = join(folder, `${Math.random().toString(36).slice(2)}.yaml`);
  writeFileSync(path, yaml);
  return path;
};

const load = (sources: ConfigSources) => loadConfig({ environment: {}, ...sources });

const complaint = (sources: ConfigSources): string => {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'config_invalid') return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
};

test('serves the embedded model on loopback when nothing is said', () => {
  const { config, warnings } = load({});
  expect(config).toMatchObject({ host: '127.0.0.1', port: 8080, apiKeys: [], insecure: false, activations: 'auto' });
  expect(config.model).toMatch(/models[\\/]embedded[\\/]firstlight-tiny\.gguf$/);
  expect(warnings).toEqual([]);
});

test('the environment overrides the file, and flags override both', () => {
  const configPath = file('port: 1001\nhost: "::1"\nlog-level: debug\n');
  const environment = { FIRSTLIGHT_PORT: '1002', FIRSTLIGHT_LOG_LEVEL: 'warn' };
  const { config } = load({ configPath, environment, flags: { port: '1003' } });
  expect(config).toMatchObject({ port: 1003, host: '::1', logLevel: 'warn' });
  expect(load({ configPath, environment }).config.port).toBe(1002);
  expect(load({ configPath }).config.port).toBe(1001);
});

test('bounds streams as a server of the library does', () => {
  const { streamBytes, streamSeconds } = load({}).config;
  expect({ maxBytes: streamBytes, graceMs: streamSeconds * 1000, maxStreamBytes: streamBytes / 16 }).toEqual(
    DEFAULT_STREAM_STORE,
  );
});

test('takes the path of a chat template from all three', () => {
  const configPath = file('chat-template: a.jinja');
  const environment = { FIRSTLIGHT_CHAT_TEMPLATE: 'b.jinja' };
  expect(load({ configPath }).config.chatTemplate).toBe('a.jinja');
  expect(load({ configPath, environment }).config.chatTemplate).toBe('b.jinja');
  expect(load({ configPath, environment, flags: { chatTemplate: 'c.jinja' } }).config.chatTemplate).toBe('c.jinja');
});

test('takes the file from FIRSTLIGHT_CONFIG, unless a flag names another', () => {
  const environment = { FIRSTLIGHT_CONFIG: file('port: 1') };
  expect(load({ environment }).config.port).toBe(1);
  expect(load({ environment, configPath: file('port: 2') }).config.port).toBe(2);
});

test('reads lists from YAML, from commas and from repeated flags', () => {
  const expected = ['one', 'two'];
  expect(load({ configPath: file('api-keys: [one, two]') }).config.apiKeys).toEqual(expected);
  expect(load({ environment: { FIRSTLIGHT_API_KEYS: 'one, two,' } }).config.apiKeys).toEqual(expected);
  expect(load({ flags: { apiKeys: expected } }).config.apiKeys).toEqual(expected);
});

test.each([
  ['1048576', 1048576],
  ['512MiB', 512 * 1024 ** 2],
  ['2G', 2 * 1024 ** 3],
  ['1.5 GiB', 1.5 * 1024 ** 3],
  ['2GB', 2e9],
  ['64m', 64 * 1024 ** 2],
  ['2000000B', 2000000],
])('reads %s as a number of bytes', (kvMemory, expected) => {
  expect(load({ flags: { kvMemory } }).config.kvMemory).toBe(expected);
});

test.each([
  [{ flags: { port: '70000' } }, '--port: "70000"', 'an integer from 0 to 65535'],
  [{ flags: { port: '' } }, '--port: ""', 'an integer'],
  [{ flags: { port: '8e3' } }, '--port: "8e3"', 'an integer'],
  [{ environment: { FIRSTLIGHT_PORT: 'http' } }, 'FIRSTLIGHT_PORT: "http"', 'an integer from 0 to 65535'],
  [{ flags: { kvMemory: '2 parsecs' } }, '--kv-memory: "2 parsecs"', '512MiB'],
  [{ flags: { kvMemory: '1K' } }, '--kv-memory: "1K"', 'at least 1MiB'],
  [{ flags: { kvMemory: '1.2.3G' } }, '--kv-memory: "1.2.3G"', '512MiB'],
  [{ flags: { logLevel: 'loud' } }, '--log-level: "loud"', 'fatal, error, warn, info, debug, trace, silent'],
  [{ flags: { activations: 'bf16' } }, '--activations: "bf16"', 'auto, f32, f16'],
  [{ flags: { corsOrigins: ['example.org/x'] } }, '--cors-origin: ["example.org/x"]', 'https://app.example'],
  [{ environment: { FIRSTLIGHT_INSECURE: 'maybe' } }, 'FIRSTLIGHT_INSECURE: "maybe"', 'true or false'],
  [{ flags: { context: '-5' } }, '--context: "-5"', 'at least 16'],
  [{ flags: { model: ' ' } }, '--model: " "', 'scripted:FILE.json'],
] as [ConfigSources, string, string][])(
  'refuses %j by its name, with its value and what is allowed',
  (sources, named, allowed) => {
    const message = complaint(sources);
    expect(message).toContain(named);
    expect(message).toContain(allowed);
  },
);

test('names the file and the key of a bad value, even of one that a flag overrides', () => {
  const configPath = file('port: many\n');
  expect(complaint({ configPath, flags: { port: '1' } })).toContain(`${configPath}: port: "many" is not allowed`);
});

test('names every bad value at once', () => {
  const message = complaint({ flags: { port: 'x' }, environment: { FIRSTLIGHT_CONTEXT: 'y' } });
  expect(message).toContain('--port');
  expect(message).toContain('FIRSTLIGHT_CONTEXT');
});

test('refuses an unknown key in the file, and says which there are', () => {
  const message = complaint({ configPath: file('prot: 80') });
  expect(message).toContain("there is no option 'prot'");
  expect(message).toContain('kv-memory');
});

test('refuses a file that is missing, broken or no mapping', () => {
  expect(complaint({ configPath: join(folder, 'absent.yaml') })).toContain('absent.yaml cannot be used');
  expect(complaint({ configPath: file('a: [') })).toContain('cannot be used');
  expect(complaint({ configPath: file('- 1') })).toContain('not a mapping');
});

test('takes an empty file as no settings', () => {
  expect(load({ configPath: file('# nothing yet\n') }).config.port).toBe(8080);
});

test('warns of an unknown FIRSTLIGHT_ variable, and of no other', () => {
  const { warnings } = load({ environment: { FIRSTLIGHT_PROT: '1', FIRSTLIGHT_TEST_DATA: '/data', PATH: '/bin' } });
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain('FIRSTLIGHT_PROT');
});

test('never shows an API key', () => {
  const message = complaint({ flags: { apiKeys: ['secret key'] } });
  expect(message).toContain('--api-key');
  expect(message).not.toContain('secret');
});

test('cannot be changed after it was loaded', () => {
  const { config } = load({ flags: { apiKeys: ['a'] } });
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.apiKeys)).toBe(true);
  expect(Object.isFrozen(OPTIONS.apiKeys.fallback)).toBe(true);
});

test('the body fields that name a session can be chosen, or none', () => {
  const fieldsOf = (sessionFields?: unknown) =>
    loadConfig({ environment: {}, ...(sessionFields === undefined ? {} : { flags: { sessionFields } }) }).config
      .sessionFields;
  expect(fieldsOf()).toEqual(['prompt_cache_key', 'user', 'metadata.user_id']);
  expect(fieldsOf(['user'])).toEqual(['user']);
  expect(fieldsOf(['none'])).toEqual([]);
  expect(() => fieldsOf(['name'])).toThrow(/--session-field.*metadata\.user_id, or none/);
});
