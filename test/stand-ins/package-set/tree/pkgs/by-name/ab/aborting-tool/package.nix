# Takes the whole evaluation down, as a call without an argument does.
{ }:

abort "evaluation aborted: this package cannot be called"
