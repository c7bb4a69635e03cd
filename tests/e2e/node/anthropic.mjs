// Anthropic's SDK: a message, a stream and a tool, passed through and translated, and its errors.
import Anthropic from "@anthropic-ai/sdk";
import { report } from "./client.mjs";

const options = { baseURL: process.env.GATEWAY.replace(/\/v1$/, ""), maxRetries: 0 };
const client = new Anthropic({ ...options, apiKey: process.env.GATEWAY_KEY });
const asked = { max_tokens: 64, messages: [{ role: "user", content: "hi" }] };
const tools = [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } } } }];

async function told(model) {
  const whole = await client.messages.create({ ...asked, model });
  const stream = client.messages.stream({ ...asked, model });
  const pieces = [];
  stream.on("text", (text) => pieces.push(text));
  const streamed = await stream.finalMessage();
  const called = await client.messages.stream({ ...asked, model, tools }).finalMessage();
  const [call] = called.content.filter((block) => block.type === "tool_use");
  const result = { type: "tool_result", tool_use_id: call.id, content: "rain" };
  const messages = [
    ...asked.messages,
    { role: "assistant", content: called.content },
    { role: "user", content: [result] },
  ];
  const after = await client.messages.create({ ...asked, model, tools, messages });
  return {
    whole: whole.content[0].text,
    usage: whole.usage,
    pieces,
    stop: [whole.stop_reason, streamed.stop_reason, called.stop_reason],
    call: [call.name, call.input],
    after: after.content[0].text,
  };
}

async function caught(work) {
  return await work().then(
    () => null,
    ({ constructor, status, message, requestID }) => ({ name: constructor.name, status, message, requestID }),
  );
}

const nobody = new Anthropic({ ...options, apiKey: "wrong" });
report({
  passed: await told("house-claude"),
  translated: await told("house-words"),
  tokens: await client.messages.countTokens({ model: "house-claude", messages: asked.messages }),
  model: await caught(() => client.messages.create({ ...asked, model: "claude-99" })),
  key: await caught(() => nobody.messages.create({ ...asked, model: "house-claude" })),
});
