/** The `firstlight` command: what can be asked for. Each command's work is in src/cli. */
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { addHubCommands } from './cli/hub-commands.ts';
import { LAUNCH_CLIENTS } from './cli/launch-clients.ts';
import { addConfigOptions, examples, MODEL_OPTIONS, readConfig } from './cli/options.ts';
import { KV_FORMATS } from './kernels/kv-format.ts';
import { OPTIONS, type OptionName } from './runtime/config.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/**
 * Runs one command and resolves to the exit code: 0, 1 after a failure, 2 when the command line makes no sense. Errors
 * are one `error: …` line on stderr; their stack is shown with `--log-level debug`.
 */
export const main = async (argv: readonly string[]): Promise<number> => {
  let exitCode = 0;
  const program = createProgram((code) => {
    exitCode = code;
  });
  // Stays: the error of what is printed last, such as a help, comes when all else is over.
  process.stdout.off('error', endWithOutput).on('error', endWithOutput);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has printed its own message, and help and version are no failures.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    reportError(error, isDebugging(argv));
    return EXIT_FAILURE;
  }
};

/** A reader that leaves early (`| head`) is no failure; a full disk is. */
const endWithOutput = (error: NodeJS.ErrnoException): void => {
  if (error.code === 'EPIPE') process.exit(0);
  reportError(error, false);
  process.exit(EXIT_FAILURE);
};

const reportError = (error: unknown, withStack: boolean): void => {
  const message = error instanceof Error ? error.message : String(error);
  for (const line of message.split('\n')) console.error(`error: ${line}`);
  if (withStack && error instanceof Error && error.stack !== undefined) console.error(error.stack);
};

const isDebugging = (argv: readonly string[]): boolean => {
  const level = argv.find(
    (argument, index) => argv[index - 1] === '--log-level' || argument.startsWith('--log-level='),
  );
  return ['debug', 'trace'].includes(level?.replace('--log-level=', '') ?? '');
};

const createProgram = (setExitCode: (code: number) => void): Command => {
  const program = new Command('firstlight')
    .description('A local LLM inference server on WebGPU that speaks the OpenAI and the Anthropic dialect.')
    .version(packageVersion(), '-V, --version')
    .exitOverride()
    .addHelpText('after', examples('firstlight serve', 'firstlight chat', 'firstlight COMMAND --help'));
  addServe(program);
  addChat(program);
  addDoctor(program, setExitCode);
  addLogits(program);
  addBench(program);
  addPerplexity(program);
  addHubCommands(program, setExitCode);
  addLaunch(program, setExitCode);
  return program;
};

const packageVersion = (): string => {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  return version;
};

const integerFrom =
  (min: number) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`allowed: an integer of at least ${min}.`);
  };

const numberFrom =
  (min: number, max: number) =>
  (text: string): number => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`allowed: a number from ${min} to ${max}.`);
  };

const addServe = (program: Command): void => {
  const command = program
    .command('serve')
    .description('serve a model over HTTP until SIGINT or SIGTERM; running requests are finished first')
    .addHelpText(
      'after',
      examples(
        'firstlight serve',
        'firstlight serve --model ./model.gguf --port 9000 --kv-memory 2G',
        'firstlight serve --model ORG/NAME-GGUF:Q4_K_M',
        'firstlight serve --host 0.0.0.0 --api-key SECRET',
        'firstlight serve --model scripted:./replies.json',
      ),
    )
    .action(async () => {
      const config = readConfig(command);
      const { runServe } = await import('./cli/serve.ts');
      await runServe(config);
    });
  addConfigOptions(command, Object.keys(OPTIONS) as OptionName[]);
};

const addChat = (program: Command): void => {
  const command = program
    .command('chat')
    .description('talk to a model in the terminal; with piped input, each line is a turn')
    .option('--system <TEXT>', 'system prompt')
    .option('--temperature <T>', '0 = always the best token', numberFrom(0, 2), 0)
    .option('--max-tokens <N>', 'most tokens an answer (default: up to the end of the context)', integerFrom(1))
    .addOption(new Option('--thinking <EFFORT>', 'switch thinking').choices(['off', 'low', 'medium', 'high']))
    .addHelpText(
      'after',
      examples('firstlight chat', "echo 'Count to 3' | firstlight chat", 'firstlight chat --thinking high'),
    )
    .action(async () => {
      const config = readConfig(command);
      const { system, temperature, maxTokens, thinking } = command.opts();
      const { runChat } = await import('./cli/chat.ts');
      await runChat(config, { system, temperature, maxTokens, thinking });
    });
  addConfigOptions(command, MODEL_OPTIONS);
};

const addDoctor = (program: Command, setExitCode: (code: number) => void): void => {
  const command = program
    .command('doctor')
    .description('show the adapter, its features and limits, and run every kernel against its reference on it')
    .option('--model <PATH>', "also compare this model's logits with the CPU's")
    .option('--json', 'print JSON')
    .addHelpText('after', examples('firstlight doctor', 'firstlight doctor --model m.gguf --adapter nvidia'))
    .action(async () => {
      const { model, json } = command.opts();
      const { adapter, kvFormat } = readConfig(command);
      const { runDoctor } = await import('./cli/doctor.ts');
      const isRight = await runDoctor({ model, adapter, kvFormat, isJson: json === true });
      setExitCode(isRight ? 0 : EXIT_FAILURE);
    });
  addConfigOptions(command, ['adapter', 'kvFormat', 'logLevel']);
};

const addLogits = (program: Command): void => {
  const type = (flag: string, what: string, choices: readonly string[]) =>
    new Option(`${flag} <TYPE>`, what).choices(choices).default('f32');
  const command = program
    .command('logits')
    .description("write every position's logits of a token sequence, to compare implementations")
    .requiredOption('--ids <LIST|FILE>', 'token ids: 1,2,3, or a file of little-endian i32')
    .requiredOption(
      '--out <FILE>',
      'where to write: "LGT1", u32 n, u32 vocabulary, i32 ids[n], f32 logits[n][vocabulary]',
    )
    .option('--chunk <N>', 'tokens a step (default: all at once)', integerFrom(1))
    .addOption(type('--activations', 'element type of activations', ['f32', 'f16']))
    .addOption(type('--kv-format', 'format of the KV cache', KV_FORMATS))
    .addHelpText('after', examples('firstlight logits --model m.gguf --ids 1,2,3 --out m.logits'))
    .action(async () => {
      const { ids, out, chunk, activations, kvFormat } = command.opts();
      const { model, adapter } = readConfig(command);
      const { runLogits } = await import('./cli/logits.ts');
      await runLogits({ model, adapter, ids, out, chunk, activations, kvFormat });
    });
  addConfigOptions(command, ['model', 'adapter', 'logLevel']);
};

const batchSizes = (text: string): number[] => text.split(',').map(integerFrom(1));

const addBench = (program: Command): void => {
  const command = program
    .command('bench')
    .description('measure prefill and decode of a model on this adapter, every token really computed')
    .option('--prompt-tokens <N>', 'tokens of each prompt', integerFrom(1), 256)
    .option('--decode-tokens <N>', 'tokens decoded after each prompt', integerFrom(1), 64)
    .option('--batch <LIST>', 'sequences that decode together (default: 1,16)', batchSizes)
    .option('--json', 'print JSON')
    .addHelpText('after', examples('firstlight bench', 'firstlight bench --model m.gguf --batch 1,4,16 --json'))
    .action(async () => {
      const config = readConfig(command);
      const { promptTokens, decodeTokens, batch = [1, 16], json } = command.opts();
      const { runBench } = await import('./cli/bench.ts');
      await runBench(config, { promptTokens, decodeTokens, batches: batch, isJson: json === true });
    });
  addConfigOptions(command, MODEL_OPTIONS);
};

const addPerplexity = (program: Command): void => {
  const command = program
    .command('perplexity')
    .description('measure how well a model predicts a text, in windows that slide over it')
    .requiredOption('--file <TEXT>', 'a UTF-8 text file')
    .option('--window <N>', 'tokens of a window (default: the context)', integerFrom(2))
    .option('--stride <N>', 'new tokens of each window (default: half of it)', integerFrom(1))
    .option('--json', 'print JSON')
    .addHelpText('after', examples('firstlight perplexity --file book.txt --model m.gguf --window 512'))
    .action(async () => {
      const config = readConfig(command);
      const { file, window, stride, json } = command.opts();
      const { runPerplexity } = await import('./cli/perplexity.ts');
      await runPerplexity(config, { file, window, stride, isJson: json === true });
    });
  addConfigOptions(command, MODEL_OPTIONS);
};

/** A server that is started for a client takes these beside what every model takes. */
const LAUNCH_OPTIONS: readonly OptionName[] = [
  ...MODEL_OPTIONS,
  'modelId',
  'host',
  'port',
  'apiKeys',
  'kvRam',
  'kvDisk',
];

const addLaunch = (program: Command, setExitCode: (code: number) => void): void => {
  const command = program
    .command('launch')
    .description('start a coding client against the running server, or against one that is started for it')
    .addArgument(new Argument('<CLIENT>', 'what to start').choices(Object.keys(LAUNCH_CLIENTS)))
    .argument('[ARGUMENTS...]', "after --: the client's own")
    .addOption(
      new Option(
        '--url <URL>',
        'a running server (default: the configured host and port, else one is started, on a port of its own)',
      ).conflicts('model'),
    )
    .addHelpText(
      'after',
      examples(
        'firstlight launch claude',
        "firstlight launch claude --model ORG/NAME-GGUF -- -p 'What is in this folder?'",
        'firstlight launch codex --url http://127.0.0.1:8080 -- exec --skip-git-repo-check hi',
      ),
    )
    .action(async (client: keyof typeof LAUNCH_CLIENTS, ownArguments: string[]) => {
      const config = readConfig(command);
      const { url, model } = command.opts();
      const { runLaunch } = await import('./cli/launch.ts');
      setExitCode(await runLaunch(config, { client, url, startsServer: model !== undefined, arguments: ownArguments }));
    });
  addConfigOptions(command, LAUNCH_OPTIONS);
};
