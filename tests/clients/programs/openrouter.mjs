// OpenRouter's own SDK: text and the list of models, under the one address that it has.
import { OpenRouter } from '@openrouter/sdk';

const router = new OpenRouter({ serverURL: `${process.env.GATEWAY}/api/v1`, apiKey: process.env.GATEWAY_KEY });
const chatRequest = { model: 'house-words', messages: [{ role: 'user', content: 'hi' }] };
const answer = await router.chat.send({ chatRequest });
if (answer.choices[0].message.content !== 'Hello from upstream') throw new Error(JSON.stringify(answer));
const models = await router.models.list();
const listed = models.data ?? models.result?.data ?? [];
if (!listed.some((model) => model.id === 'house-words')) throw new Error('house-words is not listed');
console.log('chat, models');
