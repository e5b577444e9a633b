// Sends logs with Datadog's own client.
//
//     datadog.mjs HOST:PORT KEY     logs as JSON on standard input; prints what the client says

import { createRequire } from 'node:module'
import { json } from 'node:stream/consumers'
import { client, v1, v2 } from '@datadog/datadog-api-client'

const [name, key] = process.argv.slice(2)
const said = { version: createRequire(import.meta.url)('@datadog/datadog-api-client/package.json').version, answers: [] }
const configuration = client.createConfiguration({ serverIndex: 1, authMethods: { apiKeyAuth: key } })
configuration.setServerVariables({ protocol: 'http', name })
const own = ['message', 'ddsource', 'ddtags', 'hostname', 'service']
const item = (log) => {
  const entries = Object.entries(log)
  const item = Object.fromEntries(entries.filter(([name]) => own.includes(name)))
  item.additionalProperties = Object.fromEntries(entries.filter(([name]) => !own.includes(name)))
  return item
}
try {
  said.valid = (await new v1.AuthenticationApi(configuration).validate()).valid
  const api = new v2.LogsApi(configuration)
  const logs = (await json(process.stdin)).map(item)
  for (const contentEncoding of [undefined, 'gzip', 'deflate']) {
    said.answers.push(await api.submitLog({ body: logs, contentEncoding, ddtags: 'from:query' }))
  }
} catch (error) {
  said.error = [error.name, error.code ?? error.message, error.body]
}
console.log(JSON.stringify(said))
