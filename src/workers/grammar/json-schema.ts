export const schemaGrammar = (_schema: Readonly<Record<string, unknown>> | boolean, _path: string): string =>
  'root ::= "{}"';
