// Package org is AWS Organizations: the tree of accounts, and the service control and resource
// control policies that hang on it.
//
// Tree, policies and attachments live in package directory, which makes them ready for decisions;
// this package checks what is written there, in AWS's words. Only the management account may look
// at the tree or change it. Accounts come from CreateAccount; a development server has one
// organization with every account in it from the start.
//
// Source: AWS Organizations API Reference and User Guide, page by page where a rule needs it.
package org
