// Makes a film through the tools, as an agent that is written in Node.js would; prints what it heard as JSON.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [address, key, wish] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
const client = new Client({ name: 'agent', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(address), { requestInit: { headers } }));
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const progress = [];
const onprogress = (each) => progress.push(each.progress);
const ask = (name, given) => client.callTool({ name, arguments: given }, undefined, { onprogress, timeout: 120_000 });

const refused = await ask('make_video', { ...JSON.parse(wish), seconds: 5000 });
let film = (await ask('make_video', JSON.parse(wish))).structuredContent;
while (!['completed', 'failed'].includes(film.status)) {
  film = (await ask('get_video', { video_id: film.id, wait_seconds: 50 })).structuredContent;
}
await client.close();
console.log(JSON.stringify({ tools, progress, film, refused: { isError: refused.isError, text: refused.content[0].text } }));
