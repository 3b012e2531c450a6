// Package s3test has tests of the snapshots in a bucket, against a real server of the S3 API: versitygw, which
// is built from the module proxy. It is a module of its own, so that the product does not depend on it.
package s3test
