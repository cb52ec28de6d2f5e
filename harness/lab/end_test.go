package lab_test

func client(args []string) error { return nil }
