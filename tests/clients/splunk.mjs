// Sends events with Splunk's own client for JavaScript.
//
//     splunk.mjs URL TOKEN     messages as JSON on standard input; prints what the client says

import { createRequire } from 'node:module'
import { json } from 'node:stream/consumers'
import splunk from 'splunk-logging'

const [url, token] = process.argv.slice(2)
const said = { version: createRequire(import.meta.url)('splunk-logging/package.json').version, answers: [], errors: [] }
const logger = new splunk.Logger({ url, token, maxBatchCount: 0, maxRetries: 0 })
logger.error = (error) => said.errors.push([error.message, error.code])
const metadata = { host: 'web-1', source: 'shop', sourcetype: 'node', index: 'main', time: 1763632800.25 }
for (const entry of await json(process.stdin)) {
  const { level, ...message } = entry
  logger.send({ message, severity: level ?? 'info', metadata: { ...metadata } })
}
// All of them as one request, and then text.
await new Promise((resolve) => logger.flush((error, response, body) => resolve(said.answers.push(body))))
logger.eventFormatter = (message) => message
await new Promise((resolve) => {
  logger.send({ message: 'a text', metadata: { ...metadata } })
  logger.flush((error, response, body) => resolve(said.answers.push(body)))
})
console.log(JSON.stringify(said))
