/** Joins shader files into one module and reads from the text what TypeScript must know: bindings and parameters. */
import { readFileSync } from 'node:fs';
import { EngineError } from '../runtime/errors.ts';

export interface ShaderBinding {
  readonly name: string;
  readonly binding: number;
  readonly access: 'read' | 'read_write';
}

export interface ShaderParameter {
  readonly name: string;
  readonly type: 'u32' | 'i32' | 'f32';
  readonly byteOffset: number;
}

/** One assembled module. */
export interface Shader {
  readonly name: string;
  readonly code: string;
  readonly bindings: readonly ShaderBinding[];
  /** Fields of `struct Params`, which the shader declares as `var<immediate>`; empty without one. */
  readonly parameters: readonly ShaderParameter[];
  readonly parameterBytes: number;
  /** Names the shader file and line that a line of `code` came from. */
  locate(line: number): string;
}

export interface ShaderSource {
  /** Further shader files to join: `lib/reduce-subgroup`, `quant/q8-0`. */
  readonly uses?: readonly string[];
  /** Become `const NAME = value;` integers as u32, the rest as f32; booleans stay. */
  readonly constants?: Readonly<Record<string, number | boolean>>;
  /** Become `alias Name = type;` */
  readonly aliases?: Readonly<Record<string, string>>;
}

const SHADER_FOLDER = new URL('../../shaders/', import.meta.url);
const MAX_PARAMETER_BYTES = 64;

const files = new Map<string, string>();

const readShader = (name: string): string => {
  let text = files.get(name);
  if (text === undefined) {
    text = readFileSync(new URL(`${name}.wgsl`, SHADER_FOLDER), 'utf8');
    files.set(name, text);
  }
  return text;
};

const literal = (value: number | boolean): string => {
  if (typeof value === 'boolean') return String(value);
  return Number.isInteger(value) && value >= 0 ? `${value}u` : `${value}f`;
};

const parseParameters = (name: string, code: string): ShaderParameter[] => {
  const body = /struct Params \{([^}]*)\}/.exec(code)?.[1];
  if (body === undefined) return [];
  const fields = [...body.replace(/\/\/.*$/gm, '').matchAll(/(\w+)\s*:\s*(\w+)/g)];
  const parameters = fields.map(([, field, type], index) => {
    if (type !== 'u32' && type !== 'i32' && type !== 'f32') {
      throw new EngineError('shader_invalid', `${name}.wgsl: Params.${field} is ${type}, allowed are u32, i32 and f32`);
    }
    return { name: field!, type, byteOffset: index * 4 } as const;
  });
  if (parameters.length * 4 > MAX_PARAMETER_BYTES) {
    throw new EngineError('shader_invalid', `${name}.wgsl: Params has over ${MAX_PARAMETER_BYTES} bytes`);
  }
  return parameters;
};

/**
 * Assembles `shaders/<name>.wgsl` with the files it uses and a generated header of constants and aliases.
 * `enable` lines follow from the text: F16 types and subgroup builtins switch their extensions on.
 * @throws EngineError shader_invalid for parameters that cannot be packed
 */
export const assembleShader = (name: string, source: ShaderSource = {}): Shader => {
  const parts = [...(source.uses ?? []), name].map((file) => ({ file, text: readShader(file) }));
  const header = [
    ...Object.entries(source.constants ?? {}).map(([key, value]) => `const ${key} = ${literal(value)};`),
    ...Object.entries(source.aliases ?? {}).map(([key, type]) => `alias ${key} = ${type};`),
  ];
  const text = parts.map((part) => part.text).join('\n');
  const all = `${header.join('\n')}\n${text}`;
  const directives = [
    ...(/\bf16\b|\bvec[234]h\b/.test(all) ? ['enable f16;'] : []),
    ...(/\bsubgroup[A-Z]\w*\(|@builtin\(subgroup_/.test(text) ? ['enable subgroups;'] : []),
    ...(/var<immediate>/.test(text) ? ['requires immediate_address_space;'] : []),
  ];
  const prefix = [...directives, ...header];
  const code = `${prefix.join('\n')}\n${text}`;
  const bindings = [
    ...text.matchAll(/@group\(0\)\s*@binding\((\d+)\)\s*var<storage,\s*(read_write|read)>\s*(\w+)/g),
  ].map(([, binding, access, variable]) => ({
    name: variable!,
    binding: Number(binding),
    access: access as 'read' | 'read_write',
  }));
  const parameters = parseParameters(name, text);
  const locate = (line: number): string => {
    let rest = line - prefix.length;
    if (rest < 1) return `${name}.wgsl, generated header, line ${line}`;
    for (const part of parts) {
      const lines = part.text.split('\n').length;
      if (rest <= lines) return `shaders/${part.file}.wgsl:${rest}`;
      rest -= lines;
    }
    return `${name}.wgsl, line ${line}`;
  };
  return { name, code, bindings, parameters, parameterBytes: parameters.length * 4, locate };
};
