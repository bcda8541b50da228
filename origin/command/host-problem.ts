// What keeps a machine from being prepared, with what a person must do.

export class HostProblem extends Error {}
