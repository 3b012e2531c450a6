package ec2

// Wildcard is how filters match.
var Wildcard = wildcard
