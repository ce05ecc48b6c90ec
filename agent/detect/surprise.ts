/** How surprising an unseen edge is, in bits. */
export const surpriseOf = (): number => 8
