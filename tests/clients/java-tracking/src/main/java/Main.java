import com.google.gson.Gson;
import java.util.List;
import java.util.Map;

/**
 * Calls Segment's or RudderStack's SDK, which the first argument names: once for each message. KEY,
 * HOST, MESSAGES and PATIENT (see messages.py) come from the environment. The last line it prints
 * is JSON: the errors that the callbacks were told.
 */
public final class Main {
    private static final int SEVERAL = 8;

    private Main() {}

    public static void main(String[] arguments) throws InterruptedException {
        Map<String, String> given = System.getenv();
        Gson json = new Gson();
        List<Sent> messages = List.of(json.fromJson(given.get("MESSAGES"), Sent[].class));
        int threads = given.get("PATIENT").isEmpty() ? 1 : SEVERAL;
        Outcome outcome = new Outcome(messages.size());
        if (arguments[0].equals("segment")) {
            Segment.send(given.get("KEY"), given.get("HOST"), messages, threads, outcome);
        } else {
            Rudder.send(given.get("KEY"), given.get("HOST"), messages, threads, outcome);
        }
        System.out.println(json.toJson(outcome.errors()));
        System.exit(0);
    }
}
