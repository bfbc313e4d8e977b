/** The chat page of a Firstlight server: starts it. */
import { ChatPage } from './chat-page.ts';

new ChatPage(new URL('.', location.href).href).start();
