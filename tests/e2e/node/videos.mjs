// Every video call: create in three forms, poll, list, download, remix, edit, extend, characters, delete.
import { readFileSync } from "node:fs";
import { base64, client, ended, report, small, toFile } from "./client.mjs";

const picture = readFileSync(process.env.PICTURE);
const prompt = "[studio:fast] a tram";
const plain = await client.videos.create({ prompt, model: "sora-2", ...small });
const withFile = await client.videos.create({
  prompt,
  input_reference: await toFile(picture, "tram.png", { type: "image/png" }),
  ...small,
});
const image_url = `data:image/png;base64,${picture.toString("base64")}`;
const withUri = await client.videos.create({ prompt, input_reference: { image_url }, ...small });
const done = await ended(plain.id);
const source = { id: plain.id };

const listed = [];
for await (const video of client.videos.list({ limit: 2, order: "asc" })) listed.push(video.id);

const video = await base64(await client.videos.downloadContent(plain.id));
const thumbnail = await base64(await client.videos.downloadContent(plain.id, { variant: "thumbnail" }));
const remix = await client.videos.remix(plain.id, { prompt: "[studio:fast] at night" });
const edit = await client.videos.edit({ prompt: "[studio:fast] in rain", video: source });
const extension = await client.videos.extend({ prompt: "[studio:fast] on", seconds: "2", video: source });
const character = await client.videos.createCharacter({
  name: "Tram",
  video: await toFile(Buffer.from(video, "base64"), "tram.mp4", { type: "video/mp4" }),
});
const ends = [];
for (const { id } of [withFile, withUri, remix, edit, extension]) ends.push(await ended(id));
// Ours alone: OpenAI has no receipts.
const receipt = await (await client.videos.receipt?.(plain.id))?.json();
const deleted = await client.videos.delete(plain.id);
const after = await client.videos.retrieve(plain.id).catch((error) => error.status);

report({
  plain,
  done,
  listed,
  receipt,
  made: [plain.id, withFile.id, withUri.id],
  video,
  thumbnail,
  ends: ends.map(({ status, seconds, remixed_from_video_id }) => ({ status, seconds, remixed_from_video_id })),
  character,
  again: await client.videos.getCharacter(character.id),
  deleted,
  after,
});
