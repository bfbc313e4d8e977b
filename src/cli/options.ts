/** The configuration's options as commander flags, and back. */
import { type Command, Option } from 'commander';
import { type Config, flagOf, loadConfig, OPTIONS, type OptionName } from '../runtime/config.ts';

/** What every command that loads a model takes. */
export const MODEL_OPTIONS: readonly OptionName[] = [
  'model',
  'context',
  'adapter',
  'kvMemory',
  'maxBatchTokens',
  'activations',
  'kvFormat',
  'quantize',
  'chatTemplate',
  'toolFormat',
  'logLevel',
];

const collect = (value: string, earlier: readonly string[] | undefined): string[] => [...(earlier ?? []), value];

const toFlag = (name: OptionName): Option => {
  const { help, fallback, ...rest } = OPTIONS[name];
  const argument = 'argument' in rest ? ` <${rest.argument}>` : '';
  const flag = new Option(`${flagOf(name)}${argument}`, help);
  // Commander's own defaults would hide what the file and the environment say: none are given.
  return Array.isArray(fallback) ? flag.argParser(collect) : flag;
};

/** The end of a command's help. */
export const examples = (...lines: string[]): string => `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;

/** Gives the command the options' flags and `--config`. Values stay as written: `readConfig` checks them. */
export const addConfigOptions = (command: Command, names: readonly OptionName[]): Command => {
  for (const name of names) command.addOption(toFlag(name));
  return command.option('--config <FILE>', 'YAML file of options by their long names (default: $FIRSTLIGHT_CONFIG)');
};

/**
 * The configuration as file, environment and the command's flags say; warnings go to stderr.
 * @throws EngineError config_invalid
 */
export const readConfig = (command: Command): Config => {
  const given = command.opts<Record<string, unknown>>();
  const names = Object.keys(OPTIONS) as OptionName[];
  const flags = Object.fromEntries(names.map((name) => [name, given[toFlag(name).attributeName()]]));
  const configPath = given.config;
  const { config, warnings } = loadConfig({
    flags,
    configPath: typeof configPath === 'string' ? configPath : undefined,
  });
  for (const warning of warnings) console.error(`warning: ${warning}`);
  return config;
};

/** The fields of `config` that `loadModel` wants, under its names. */
export const loadOptions = ({
  adapter,
  context,
  kvMemory,
  maxBatchTokens,
  activations,
  kvFormat,
  quantize,
  chatTemplate,
}: Config) => ({
  ...(adapter === undefined ? {} : { adapter }),
  ...(context === undefined ? {} : { contextLength: context }),
  ...(kvMemory === undefined ? {} : { kvMemoryBytes: kvMemory }),
  ...(maxBatchTokens === undefined ? {} : { maxBatchTokens }),
  activations,
  kvFormat,
  ...(quantize === undefined ? {} : { quantize }),
  ...(chatTemplate === undefined ? {} : { chatTemplatePath: chatTemplate }),
});
