// The command line of the Model Context Protocol's inspector: the list of tools, and a film by one of them.
import { execFileSync } from 'node:child_process';

function inspect(...words) {
  const address = [`${process.env.GATEWAY}/mcp`, '--transport', 'http'];
  const header = ['--header', `Authorization: Bearer ${process.env.GATEWAY_KEY}`];
  const command = ['node_modules/.bin/mcp-inspector', '--cli', ...address, ...header, '--method', ...words];
  return JSON.parse(execFileSync('node', command, { encoding: 'utf8' }));
}

function call(tool, given) {
  const words = Object.entries(given).flatMap(([name, value]) => ['--tool-arg', `${name}=${value}`]);
  const answer = inspect('tools/call', '--tool-name', tool, ...words);
  if (answer.isError) throw new Error(JSON.stringify(answer.content));
  return answer.structuredContent;
}

const { tools } = inspect('tools/list');
if (!tools.some((tool) => tool.name === 'make_video')) throw new Error(JSON.stringify(tools));
let film = call('make_video', { prompt: '[studio:fast] a boat', model: 'sora-2', seconds: 4 });
while (!['completed', 'failed'].includes(film.status)) film = call('get_video', { video_id: film.id, wait_seconds: 40 });
if (film.status !== 'completed') throw new Error(JSON.stringify(film));
console.log(`${tools.length} tools, a film`);
