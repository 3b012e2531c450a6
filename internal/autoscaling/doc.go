// Package autoscaling is Amazon EC2 Auto Scaling: groups that keep a number of instances running.
//
// A group's work is done as a session of its service-linked role, named "AutoScaling", through
// the same EC2 operations that everybody calls; the package has no other way to launch. It looks
// at its groups when something happens (a request, a change of an instance's state, a timer) and
// never looks at key policies: a group recovers because it tries again.
//
// Source of the rules, unless a comment names another: Amazon EC2 Auto Scaling User Guide and API
// Reference.
package autoscaling
