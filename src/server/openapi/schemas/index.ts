/**
 * The schemas of answers by the names that the API's description gives them. They describe: no answer runs through them.
 * Whoever names one elsewhere imports the type `SchemaName` alone, so that they are made only when somebody asks.
 */
import { message as chatMessageParam } from '../../dialects/openai-chat-messages.ts';
import { inputItem, textFormat, tool, toolChoice } from '../../dialects/openai-responses-body.ts';
import * as chat from './chat.ts';
import * as completion from './completion.ts';
import * as coordination from './coordination.ts';
import * as coordinationEvents from './coordination-events.ts';
import * as embedding from './embedding.ts';
import * as errors from './errors.ts';
import * as message from './message.ts';
import * as messageEvents from './message-events.ts';
import * as model from './model.ts';
import * as response from './response.ts';
import * as responseEvents from './response-events.ts';
import * as responseItems from './response-items.ts';
import * as server from './server.ts';
import * as session from './session.ts';
import * as sockets from './sockets.ts';
import * as usage from './usage.ts';

const OPENAI = {
  ChatMessageParam: chatMessageParam,
  ChatCompletion: chat.chatCompletion,
  ChatChoice: chat.chatChoice,
  ChatMessage: chat.chatMessage,
  ChatToolCall: chat.chatToolCall,
  ChatFunctionToolCall: chat.chatFunctionToolCall,
  ChatCustomToolCall: chat.chatCustomToolCall,
  ChatFunctionCall: chat.functionCall,
  ChatLogprobs: chat.chatLogprobs,
  ChatFinishReason: chat.chatFinishReason,
  ChatCompletionChunk: chat.chatCompletionChunk,
  ChatChunkChoice: chat.chatChunkChoice,
  ChatDelta: chat.chatDelta,
  ChatToolCallDelta: chat.chatToolCallDelta,
  ChatStreamEvent: chat.chatStreamEvent,
  TokenLogprob: usage.tokenLogprob,
  TopLogprob: usage.topLogprob,
  CompletionUsage: usage.completionUsage,
  AnswerWarning: usage.answerWarning,
  ChoiceWarning: usage.choiceWarning,
  Completion: completion.completion,
  CompletionChoice: completion.completionChoice,
  CompletionLogprobs: completion.completionLogprobs,
  CompletionChunk: completion.completionChunk,
  CompletionChunkChoice: completion.completionChunkChoice,
  CompletionStreamEvent: completion.completionStreamEvent,
  EmbeddingList: embedding.embeddingList,
  Embedding: embedding.embedding,
};

const RESPONSES = {
  ResponseInputItem: inputItem,
  ResponseTool: tool,
  ResponseToolChoice: toolChoice,
  ResponseTextFormat: textFormat,
  ResponseObject: response.responseObject,
  ResponseUsage: response.responseUsage,
  ResponseError: response.responseError,
  ResponseDeleted: response.responseDeleted,
  ResponseInputItems: response.responseInputItems,
  ResponseInputTokens: response.responseInputTokens,
  OutputItem: responseItems.outputItem,
  OutputMessage: responseItems.outputMessage,
  OutputText: responseItems.outputText,
  ReasoningItem: responseItems.reasoningItem,
  ReasoningText: responseItems.reasoningText,
  SummaryText: responseItems.summaryText,
  FunctionToolCall: responseItems.functionToolCall,
  CustomToolCall: responseItems.customToolCall,
  ResponseStreamEvent: responseEvents.responseStreamEvent,
  ResponseStateEvent: responseEvents.responseStateEvent,
  ResponseItemEvent: responseEvents.responseItemEvent,
  ResponsePartEvent: responseEvents.responsePartEvent,
  ResponseTextDeltaEvent: responseEvents.responseTextDeltaEvent,
  ResponseTextDoneEvent: responseEvents.responseTextDoneEvent,
  ResponseReasoningDeltaEvent: responseEvents.responseReasoningDeltaEvent,
  ResponseReasoningDoneEvent: responseEvents.responseReasoningDoneEvent,
  ResponseSummaryPartEvent: responseEvents.responseSummaryPartEvent,
  ResponseSummaryDeltaEvent: responseEvents.responseSummaryDeltaEvent,
  ResponseSummaryDoneEvent: responseEvents.responseSummaryDoneEvent,
  ResponseArgumentsDeltaEvent: responseEvents.responseArgumentsDeltaEvent,
  ResponseArgumentsDoneEvent: responseEvents.responseArgumentsDoneEvent,
  ResponseInputDeltaEvent: responseEvents.responseInputDeltaEvent,
  ResponseInputDoneEvent: responseEvents.responseInputDoneEvent,
  ResponseKeepaliveEvent: responseEvents.responseKeepaliveEvent,
};

const ANTHROPIC = {
  Message: message.message,
  MessageContentBlock: message.messageContentBlock,
  TextBlock: message.textBlock,
  ThinkingBlock: message.thinkingBlock,
  ToolUseBlock: message.toolUseBlock,
  MessageUsage: message.messageUsage,
  MessageDeltaUsage: message.messageDeltaUsage,
  MessageStopReason: message.stopReason,
  MessageTokens: message.messageTokens,
  MessageStreamEvent: messageEvents.messageStreamEvent,
  MessageStartEvent: messageEvents.messageStartEvent,
  StartedMessage: messageEvents.startedMessage,
  PingEvent: messageEvents.pingEvent,
  ContentBlockStartEvent: messageEvents.blockStartEvent,
  ContentBlockDeltaEvent: messageEvents.blockDeltaEvent,
  ContentBlockDelta: messageEvents.blockDelta,
  ContentBlockStopEvent: messageEvents.blockStopEvent,
  MessageDeltaEvent: messageEvents.messageDeltaEvent,
  MessageStopEvent: messageEvents.messageStopEvent,
};

const SERVER = {
  OpenAIError: errors.openaiError,
  AnthropicError: errors.anthropicError,
  AnyError: errors.anyError,
  Model: model.model,
  ModelList: model.modelList,
  ModelsRemoved: model.modelsRemoved,
  PullEvent: model.pullEvent,
  PullProgressEvent: model.pullProgressEvent,
  PullDoneEvent: model.pullDoneEvent,
  PullErrorEvent: model.pullErrorEvent,
  Health: server.health,
  Liveness: server.liveness,
  Tokenized: server.tokenized,
  TokenPiece: server.tokenPiece,
  Detokenized: server.detokenized,
  RenderedPrompt: server.renderedPrompt,
  Session: session.session,
  SessionDetails: session.sessionDetails,
  SessionList: session.sessionList,
  SessionDeleted: session.sessionDeleted,
  SessionRemoval: session.sessionRemoval,
  CacheMiss: session.cacheMiss,
  TierUse: session.tierUse,
  RequestCache: session.requestCache,
  Agent: session.agent,
  AgentSummary: session.agentSummary,
  AgentList: session.agentList,
  AgentStats: session.agentStats,
  AgentText: session.agentText,
  ClientFrame: sockets.clientFrame,
  ChatServerFrame: sockets.chatServerFrame,
  MessageServerFrame: sockets.messageServerFrame,
  ResponseCreateFrame: sockets.responseCreateFrame,
  ResponseErrorFrame: sockets.responseErrorFrame,
  ResponseServerFrame: sockets.responseServerFrame,
  StreamEvent: sockets.streamEvent,
};

const COORDINATION = {
  CoordinationSession: coordination.coordinationSession,
  CoordinationAgent: coordination.coordinationAgent,
  CoordinationState: coordination.coordinationState,
  CoordinationAgentState: coordination.coordinationAgentState,
  CoordinationDetails: coordination.coordinationDetails,
  CoordinationList: coordination.coordinationList,
  CoordinationMessage: coordination.coordinationMessage,
  CoordinationMessages: coordination.coordinationMessages,
  CoordinationPosted: coordination.coordinationPosted,
  CoordinationTurn: coordination.coordinationTurn,
  CoordinationRound: coordination.coordinationRound,
  CoordinationBallot: coordination.coordinationBallot,
  CoordinationTally: coordination.coordinationTally,
  CoordinationPoll: coordination.coordinationPoll,
  CoordinationVote: coordination.coordinationVote,
  CoordinationVoteAnswer: coordination.coordinationVoteAnswer,
  CoordinationTurnStreamEvent: coordinationEvents.turnEvent,
  CoordinationRoundStreamEvent: coordinationEvents.roundEvent,
  CoordinationWhisperStreamEvent: coordinationEvents.whisperEvent,
  CoordinationVoteStreamEvent: coordinationEvents.voteEvent,
  CoordinationMessageStreamEvent: coordinationEvents.messagesEvent,
  CoordinationTurnStartEvent: coordination.turnStartEvent,
  CoordinationTokenEvent: coordination.turnTokenEvent,
  CoordinationTurnCompleteEvent: coordination.turnCompleteEvent,
  CoordinationTurnEndEvent: coordination.turnEndEvent,
  CoordinationRoundCompleteEvent: coordination.roundCompleteEvent,
  CoordinationWhisperCompleteEvent: coordination.whisperCompleteEvent,
  CoordinationVoteCompleteEvent: coordination.voteCompleteEvent,
  CoordinationBallotEvent: coordination.ballotEvent,
  CoordinationMessageEvent: coordination.messageEvent,
  CoordinationEndEvent: coordination.endEvent,
  CoordinationErrorEvent: coordinationEvents.coordinationErrorEvent,
};

export const SCHEMAS = { ...OPENAI, ...RESPONSES, ...ANTHROPIC, ...COORDINATION, ...SERVER };

export type SchemaName = keyof typeof SCHEMAS;
