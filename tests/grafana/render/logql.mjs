// Reads expressions of LogQL as a JSON list on stdin; prints those that do not parse.
import { readFileSync } from 'node:fs';
import { parser } from '@grafana/lezer-logql';

function broken(expression) {
  let found = false;
  parser.parse(expression).iterate({ enter: (node) => { found ||= node.type.isError; } });
  return found;
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).filter(broken)));
