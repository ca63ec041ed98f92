// Asks servers for one path with autocannon, one short run after the other, and counts answers.
// Knows nothing of what the servers are. Reads one JSON object from its arguments:
//   {"runs": [["name", "http://…"], …], "seconds": 0.5, "connections": 16}
// and prints for each run one line: {"name", "answered", "failed", "seconds"}.
'use strict'

const autocannon = require('autocannon')

const SAMPLE_MS = 50

async function main ({ runs, seconds, connections }) {
  for (const [name, url] of runs) {
    const result = await autocannon({ url, connections, duration: seconds, sampleInt: SAMPLE_MS })
    console.log(JSON.stringify({
      name,
      answered: result['2xx'],
      failed: result.non2xx + result.errors + result.timeouts,
      seconds: (result.finish - result.start) / 1000
    }))
  }
}

main(JSON.parse(process.argv[2]))
