import { sensitivityOf } from './detect/sensitive.ts'
import type { Protection } from './graph/patterns.ts'

/** Sensitive for their name alone, wherever they are. */
const WEB_PAGES = 'pages that run on the web server'
/** What at(1) hands to atd, and what atd writes down of it: queue or `=`, number of the job in 5 digits, minute in 8. */
const JOBS = /^\/var\/spool\/(?:cron\/)?at(?:jobs|spool|\/spool)?\/[A-Za-z=][0-9a-f]{13}$/
const AT = /^proc:[^:]*:[^:]*:(?:\/usr)?\/s?bin\/atd?(?:<|$)/
/** A debugger sets its breakpoints in programs that have another pid each time. */
const MEMORY = /^\/proc\/\d+\/(?:task\/\d+\/)?mem$/

/**
 * What of a path no pattern may cover: nothing that is sensitive, nor the name of a page.
 *
 * @param process who is about to do something with the file, by its printed name
 */
export function protectionOf(path: string, process = ''): Protection {
  const word = sensitivityOf(path)
  if (word === undefined || (JOBS.test(path) && AT.test(process)) || MEMORY.test(path)) return 'nothing'
  return word === WEB_PAGES ? 'name' : 'all'
}
