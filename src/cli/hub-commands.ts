/** The commands that fetch and keep models. */
import type { Command } from 'commander';
import { addConfigOptions, examples } from './options.ts';

const NAME = 'ORG/NAME, ORG/NAME:Q4_K_M or ORG/NAME:FILE.gguf, each with @REVISION or without';
const EXIT_FAILURE = 1;

/** Adds `pull`, `list`, `show`, `verify` and `rm`. */
export const addHubCommands = (program: Command, setExitCode: (code: number) => void): void => {
  addPull(program);
  addList(program);
  addShow(program);
  addVerify(program, setExitCode);
  addRemove(program);
};

const addPull = (program: Command): void => {
  const command = program
    .command('pull')
    .description('fetch a model from the Hugging Face hub, or go on where a fetch stopped; prints its path')
    .argument('<MODEL>', NAME)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      examples(
        'firstlight pull ORG/NAME-GGUF',
        'firstlight pull ORG/NAME-GGUF:Q8_0',
        'HF_ENDPOINT=https://mirror.example HF_TOKEN=hf_… firstlight pull ORG/NAME@v1.0',
      ),
    )
    .action(async (model: string) => {
      const { runPull } = await import('./pull.ts');
      await runPull(model, command.opts().json === true);
    });
  addConfigOptions(command, ['logLevel']);
};

const addList = (program: Command): void => {
  const command = program
    .command('list')
    .alias('ls')
    .description("list the models in the hub's cache (HF_HUB_CACHE, HF_HOME/hub), whichever tool fetched them")
    .option('--json', 'print JSON')
    .addHelpText('after', examples('firstlight list', 'firstlight list --json'))
    .action(async () => {
      const { runList } = await import('./installed.ts');
      await runList(command.opts().json === true);
    });
  addConfigOptions(command, ['logLevel']);
};

const addShow = (program: Command): void => {
  const command = program
    .command('show')
    .description('show what a model is; of one that is not here, what the hub offers and which would be fetched')
    .argument('<MODEL>', NAME)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('firstlight show ORG/NAME-GGUF', 'firstlight show ORG/NAME-GGUF:Q8_0 --json'))
    .action(async (model: string) => {
      const { runShow } = await import('./installed.ts');
      await runShow(model, command.opts().json === true);
    });
  addConfigOptions(command, ['logLevel']);
};

const addVerify = (program: Command, setExitCode: (code: number) => void): void => {
  const command = program
    .command('verify')
    .description('read models again and compare every file with its digest')
    .argument('[MODEL...]', `${NAME} (default: all)`)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('firstlight verify', 'firstlight verify ORG/NAME-GGUF:Q8_0'))
    .action(async (models: string[]) => {
      const { runVerify } = await import('./installed.ts');
      const isRight = await runVerify(models, command.opts().json === true);
      setExitCode(isRight ? 0 : EXIT_FAILURE);
    });
  addConfigOptions(command, ['logLevel']);
};

const addRemove = (program: Command): void => {
  const command = program
    .command('rm')
    .description('remove a quantization, a file, or a whole repository with what is left of its downloads')
    .argument('<MODEL...>', NAME)
    .addHelpText('after', examples('firstlight rm ORG/NAME-GGUF:Q8_0', 'firstlight rm ORG/NAME-GGUF'))
    .action(async (models: string[]) => {
      const { runRemove } = await import('./installed.ts');
      await runRemove(models);
    });
  addConfigOptions(command, ['logLevel']);
};
