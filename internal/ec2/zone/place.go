package zone

// A place is where a region is: its long name, its country, and the state of the country if that is told.
type place struct{ name, country, state string }

// places are those of the regions. Source: AWS Global Infrastructure, "AWS Regions".
var places = map[string]place{
	"af-south-1":     {"Africa (Cape Town)", "South Africa", ""},
	"ap-east-1":      {"Asia Pacific (Hong Kong)", "Hong Kong", ""},
	"ap-northeast-1": {"Asia Pacific (Tokyo)", "Japan", ""},
	"ap-northeast-2": {"Asia Pacific (Seoul)", "South Korea", ""},
	"ap-northeast-3": {"Asia Pacific (Osaka)", "Japan", ""},
	"ap-south-1":     {"Asia Pacific (Mumbai)", "India", ""},
	"ap-south-2":     {"Asia Pacific (Hyderabad)", "India", ""},
	"ap-southeast-1": {"Asia Pacific (Singapore)", "Singapore", ""},
	"ap-southeast-2": {"Asia Pacific (Sydney)", "Australia", ""},
	"ap-southeast-3": {"Asia Pacific (Jakarta)", "Indonesia", ""},
	"ap-southeast-4": {"Asia Pacific (Melbourne)", "Australia", ""},
	"ap-southeast-5": {"Asia Pacific (Malaysia)", "Malaysia", ""},
	"ap-southeast-7": {"Asia Pacific (Thailand)", "Thailand", ""},
	"ca-central-1":   {"Canada (Central)", "Canada", ""},
	"ca-west-1":      {"Canada West (Calgary)", "Canada", ""},
	"eu-central-1":   {"Europe (Frankfurt)", "Germany", ""},
	"eu-central-2":   {"Europe (Zurich)", "Switzerland", ""},
	"eu-north-1":     {"Europe (Stockholm)", "Sweden", ""},
	"eu-south-1":     {"Europe (Milan)", "Italy", ""},
	"eu-south-2":     {"Europe (Spain)", "Spain", ""},
	"eu-west-1":      {"Europe (Ireland)", "Ireland", ""},
	"eu-west-2":      {"Europe (London)", "United Kingdom", ""},
	"eu-west-3":      {"Europe (Paris)", "France", ""},
	"il-central-1":   {"Israel (Tel Aviv)", "Israel", ""},
	"me-central-1":   {"Middle East (UAE)", "United Arab Emirates", ""},
	"me-south-1":     {"Middle East (Bahrain)", "Bahrain", ""},
	"mx-central-1":   {"Mexico (Central)", "Mexico", ""},
	"sa-east-1":      {"South America (Sao Paulo)", "Brazil", ""},
	"us-east-1":      {"US East (N. Virginia)", "United States of America", "Virginia"},
	"us-east-2":      {"US East (Ohio)", "United States of America", "Ohio"},
	"us-west-1":      {"US West (N. California)", "United States of America", "California"},
	"us-west-2":      {"US West (Oregon)", "United States of America", "Oregon"},
}
