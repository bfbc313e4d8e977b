import { TOOL_FORMATS, type ToolFormatName } from '../../../src/runtime/output/tool-formats/index.ts';
import { toolFormatCases } from '../../cases/tool-format.ts';

for (const format of Object.keys(TOOL_FORMATS) as ToolFormatName[]) toolFormatCases(format);
