// TanStack AI: a film and a text, by its adapters for OpenAI.
import { chat, generateVideo, getVideoJobStatus } from '@tanstack/ai';
import * as adapters from '@tanstack/ai-openai';

const config = { baseURL: `${process.env.GATEWAY}/v1` };
const adapter = adapters.createOpenaiVideo('sora-2', process.env.GATEWAY_KEY, config);
const { jobId } = await generateVideo({ adapter, prompt: '[studio:fast] a boat', size: '1280x720', duration: 4 });
let status = {};
while (!['completed', 'failed'].includes(status.status)) {
  await new Promise((next) => setTimeout(next, 500));
  status = await getVideoJobStatus({ adapter, jobId });
}
if (status.status !== 'completed' || !status.url) throw new Error(JSON.stringify(status));
const text = adapters.createOpenaiChatCompletions('house-words', process.env.GATEWAY_KEY, config);
let said = '';
for await (const chunk of chat({ adapter: text, messages: [{ role: 'user', content: 'hi' }] })) said += chunk.delta ?? '';
if (said !== 'Hello from upstream') throw new Error(said);
console.log('a film, a text');
