/** Before the first test: what the tests drive is there. */
import { installPeers } from './peers.ts';

export default installPeers;
