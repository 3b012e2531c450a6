package kms

// OpenOuter takes apart what a key in an external key store encrypted.
var OpenOuter = openOuter
