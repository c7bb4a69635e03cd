// The request of the playground, or of a task, as code for clients: curl, Python, Node. Each is the whole call.
import { clientApi } from './api.js';

const quoted = (value) => JSON.stringify(value);
const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
/** The client API's names for inputs; a picture without a role is the first frame only while it is alone. */
const FILE_FIELDS = { source_video: 'video' };
const OWN = ['kind', 'shots', 'files', 'extra', 'remix_of'];

/** The fields that a client sends; what is passed on unchanged stands beside the others. */
function requestFields(request) {
  const shots = request.shots ?? [];
  const board = shots.map((shot) => `[${shot.seconds}s]${shot.prompt}`).join('\n');
  // A stored prompt ends with its storyboard. Without any other words that is the prompt, as the API needs one.
  const words =
    board && request.prompt.endsWith(board) ? request.prompt.slice(0, -board.length).trim() : request.prompt;
  const seconds = shots.reduce((sum, shot) => sum + shot.seconds, 0) || request.seconds;
  const rest = Object.entries({ ...request, ...request.extra }).filter(([name]) => !OWN.includes(name));
  const fields = {
    ...Object.fromEntries(rest),
    prompt: words || board,
    shots: words ? shots : undefined,
    seconds: seconds ? String(seconds) : undefined,
  };
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => value !== '' && value != null && value !== false && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

/** Pairs of a field and the name of a file. */
function filePairs({ kind, files = {} }) {
  const pairs = Object.entries(files).flatMap(([role, names]) => names.map((name) => [role, name]));
  if (kind === 'image') return pairs.map(([, name]) => ['image', name]);
  const alone = pairs.length === 1 && pairs[0][0] === 'first_frame';
  return pairs.map(([role, name]) => [alone ? 'input_reference' : (FILE_FIELDS[role] ?? role), name]);
}

const pathOf = (request) =>
  request.kind === 'image'
    ? filePairs(request).length
      ? 'images/edits'
      : 'images/generations'
    : request.remix_of
      ? `videos/video_${request.remix_of}/remix`
      : 'videos';

function curlSnippet(request) {
  const path = pathOf(request);
  const lines = [`curl ${clientApi()}/${path}`, '-H "Authorization: Bearer $FILMGATE_API_KEY"'];
  const fields = requestFields(request);
  if (path === 'images/generations')
    lines.push("-H 'Content-Type: application/json'", `-d ${shellQuoted(JSON.stringify(fields))}`);
  else {
    for (const [name, value] of Object.entries(fields))
      lines.push(`-F ${shellQuoted(`${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`)}`);
    for (const [name, file] of filePairs(request)) lines.push(`-F ${shellQuoted(`${name}=@${file}`)}`);
  }
  return lines.join(' \\\n  ');
}

const SDK_FIELDS = ['model', 'prompt', 'seconds', 'size'];
const pythonValue = (value) =>
  JSON.stringify(value, (_, part) =>
    typeof part === 'boolean' ? `\u0000${part ? 'True' : 'False'}` : part,
  ).replaceAll(/"\\u0000(True|False)"/g, '$1');

function pythonSnippet(request) {
  const fields = requestFields(request);
  const files = filePairs(request);
  const [first] = files.length === 1 && ['input_reference', 'image'].includes(files[0][0]) ? files : [];
  const lines = Object.entries(fields)
    .filter(([name]) => SDK_FIELDS.includes(name))
    .map(([name, value]) => `    ${name}=${quoted(value)},`);
  if (first) lines.push(`    ${first[0]}=open(${quoted(first[1])}, "rb"),`);
  const extra = Object.entries(fields)
    .filter(([name]) => !SDK_FIELDS.includes(name))
    .map(([name, value]) => `${quoted(name)}: ${pythonValue(value)}`);
  const encoded = first ? [] : files;
  for (const role of new Set(encoded.map(([name]) => name))) {
    const all = encoded.filter(([name]) => name === role).map(([, file]) => `encoded(${quoted(file)})`);
    extra.push(`${quoted(role)}: ${all.length > 1 ? `[${all.join(', ')}]` : all[0]}`);
  }
  if (extra.length) lines.push(`    extra_body={${extra.join(', ')}},`);
  const helper = encoded.length
    ? `import base64
import mimetypes

from openai import OpenAI


def encoded(name):
    with open(name, "rb") as file:
        return f"data:{mimetypes.guess_type(name)[0]};base64,{base64.b64encode(file.read()).decode()}"

`
    : 'from openai import OpenAI\n';
  const start = `${helper}\nclient = OpenAI(base_url="${clientApi()}", api_key="sk-fg-…")\n`;
  if (request.kind === 'image')
    return `${start}image = client.images.${first ? 'edit' : 'generate'}(
${lines.join('\n')}
)
print(image.data[0].url)`;
  return `${start}video = client.videos.create_and_poll(
${lines.join('\n')}
)
client.videos.download_content(video.id).write_to_file("video.mp4")`;
}

function nodeSnippet(request) {
  const files = filePairs(request);
  const streams = new Map();
  for (const [name, file] of files)
    streams.set(name, [...(streams.get(name) ?? []), `fs.createReadStream(${quoted(file)})`]);
  const fields = [
    ...Object.entries(requestFields(request)).map(([name, value]) => `  ${name}: ${quoted(value)},`),
    ...[...streams].map(([name, all]) => `  ${name}: ${all.length > 1 ? `[${all.join(', ')}]` : all[0]},`),
  ].join('\n');
  const start = `import fs from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${clientApi()}", apiKey: "sk-fg-…" });
`;
  if (request.kind === 'image')
    return `${start}const image = await client.images.${files.length ? 'edit' : 'generate'}({
${fields}
});
console.log(image.data[0].url);`;
  return `${start}let video = await client.videos.create({
${fields}
});
while (video.status === "queued" || video.status === "in_progress") {
  await new Promise((next) => setTimeout(next, 2000));
  video = await client.videos.retrieve(video.id);
}
const film = await client.videos.downloadContent(video.id);
fs.writeFileSync("video.mp4", Buffer.from(await film.arrayBuffer()));`;
}

export const SNIPPETS = { curl: curlSnippet, python: pythonSnippet, node: nodeSnippet };
