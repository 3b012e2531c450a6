package webidentity

// ReadKeys is how many keys there are in a set.
func ReadKeys(data []byte) (int, error) {
	keys, err := readKeys(data)
	return len(keys), err
}
