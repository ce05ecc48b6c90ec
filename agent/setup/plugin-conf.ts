/** What auditd-plugins(5) has as `active`; of several lines the last one counts. */
const ACTIVE = /^([ \t]*active[ \t]*=[ \t]*)([^\s#]+)/gim

/** The conf of a plugin with it switched on or off, and all else as it was. */
export function withActive(text: string, isActive: boolean): string {
  const word = isActive ? 'yes' : 'no'
  if (text.search(ACTIVE) === -1)
    return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}active = ${word}\n`
  return text.replaceAll(ACTIVE, (_, name: string) => `${name}${word}`)
}

/** The conf of our plugin, where no package has brought it. */
export const confFor = (program: string): string =>
  `active = no\ndirection = out\npath = ${program}\ntype = always\nformat = string\n`
