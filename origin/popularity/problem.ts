// What keeps popularity data from being had, in words for whoever asked for them.

export class PopularityProblem extends Error {}
