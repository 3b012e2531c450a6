package apierr

import "strconv"

// EC2TooSmall is what EC2 says of a value below the least that it takes: of MaxResults below 5, "Expecting a value greater than 5".
func EC2TooSmall(name, value string, least int64) string {
	bound := "greater than "
	if least <= 1 {
		bound = "greater than or equal to "
	}
	return "Value ( " + value + " ) for parameter " + name + " is invalid. Expecting a value " + bound + strconv.FormatInt(least, 10) + "."
}
