// Package scenario reads launch scenarios, builds their worlds on a development server, performs
// their launches and writes the world of a server down as one.
//
// A launch scenario is a file of the format kagimori.launch-scenario/1, which package format describes.
//
// [Load] is an ordinary signed client: it makes the world by the calls that a user would make, as
// the administrators of its accounts and, for what a scenario calls its setup and its launch, as
// the principals that the scenario names. What a server chooses itself (ids of snapshots, images,
// volumes, grants and AWS managed keys) is told by [World.Real].
//
// Readings of the format that a server forces:
//   - the caller of EC2 gets an inline policy for the EC2 call itself, because scenarios list what
//     bears on keys ([LaunchPolicy]);
//   - a template without an image launches a stand-in, an image of one plain root device that the
//     template does not name;
//   - several templates of one group become a group each, so that each is judged;
//   - Sids that IAM does not take in a policy of a role or user lose the characters at fault ([Sid]);
//   - launch templates whose names are too short for EC2 get longer ones ([World.TemplateName]);
//   - a revoked or retired grant is made and then revoked or retired.
package scenario
