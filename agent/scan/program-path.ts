/** The path of a program without what the kernel and dpkg(1) put behind it when its file is replaced. */
export const programPathOf = (exe: string): string =>
  exe.replace(/ \(deleted\)$/, '').replace(/\.dpkg-(?:tmp|new|old)$/, '')
